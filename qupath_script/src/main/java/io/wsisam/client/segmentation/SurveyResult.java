package io.wsisam.client.segmentation;

/**
 * How a survey ended.
 *
 * @param proposed objects that were reported
 * @param done windows that were searched
 * @param total all windows of the region
 * @param cancelled whether it was cancelled before the last
 */
public record SurveyResult(int proposed, int done, int total, boolean cancelled) {}
