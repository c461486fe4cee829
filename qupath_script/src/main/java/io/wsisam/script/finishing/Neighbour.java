package io.wsisam.script.finishing;

import org.locationtech.jts.geom.Geometry;

/**
 * An annotation that is there already.
 *
 * @param id its id
 * @param area where it is, in level-0 pixels; it need not be valid
 * @param className its class; "" for none
 * @param region whether it says where to look, and not what is there: it may be around an object, and is never in its way
 */
public record Neighbour(String id, Geometry area, String className, boolean region) {}
