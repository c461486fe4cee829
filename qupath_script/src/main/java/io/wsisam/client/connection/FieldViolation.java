package io.wsisam.client.connection;

/**
 * A field of a request that is at fault.
 *
 * @param field its path from the request's message, for example "items[3].prompt.points[0].label"
 * @param description what is wrong with it
 */
public record FieldViolation(String field, String description) {}
