package io.wsisam.script.finishing;

import org.locationtech.jts.geom.Geometry;

/**
 * A finished outline.
 *
 * @param area never empty, valid, of polygons only; in level-0 pixels
 * @param parent the id of the annotation that it lies in and becomes a child of; "" for none
 * @param cut whether something was cut off
 * @param nothingLeft whether nothing would have been left: it is then as it was
 */
public record Finished(Geometry area, String parent, boolean cut, boolean nothingLeft) {}
