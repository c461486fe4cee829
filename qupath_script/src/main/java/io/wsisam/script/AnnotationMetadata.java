package io.wsisam.script;

import io.wsisam.client.WsiSamClient;
import io.wsisam.client.segmentation.FieldChoice;
import io.wsisam.client.segmentation.Outline;
import io.wsisam.client.segmentation.PromptRequest;
import io.wsisam.client.segmentation.PromptResult;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.Optional;
import java.util.Set;

/** What an annotation says about where it comes from. Keys and values are plain strings. */
public final class AnnotationMetadata {
  /** The model's name. */
  public static final String MODEL = "wsisam.model";

  /** SHA-256 over the model's tensors. */
  public static final String WEIGHTS = "wsisam.weights";

  /** The prompts, as {@link PromptText#writeRequests} writes them. */
  public static final String PROMPTS = "wsisam.prompts";

  /** The outline's overlap (IoU) with the object as the model expected it. */
  public static final String SCORE = "wsisam.score";

  /** How surely it is one of the kind that exemplars showed, 0 to 1; missing where none did. */
  public static final String SIMILARITY = "wsisam.similarity";

  /** The window that the model read: x, y, downsample, size. */
  public static final String WINDOW = "wsisam.window";

  /** Where the border was refined, the scales at which it was segmented: [[downsample, windows], ...], the field's first. */
  public static final String LEVELS = "wsisam.levels";

  /** "true" when the object may go on beyond that window; missing otherwise. */
  public static final String CUT = "wsisam.cut_by_field";

  /** "cut" where the model's outline was cut at its neighbours, or at the annotation around it; missing otherwise. */
  public static final String FINISHED = "wsisam.finished";

  /** The id under which the server stores it; missing when it does not. */
  public static final String ID = "wsisam.id";

  /** Who made the version that was taken in from the store; missing for one's own. */
  public static final String AUTHOR = "wsisam.author";

  /** The version of this client. */
  public static final String CLIENT = "wsisam.client";

  /** The keys that tell of one outline, and go when the annotation is outlined anew. */
  public static final Set<String> OF_AN_OUTLINE = Set.of(MODEL, WEIGHTS, PROMPTS, SCORE, SIMILARITY, WINDOW, LEVELS, CUT, FINISHED, CLIENT);

  private AnnotationMetadata() {}

  /** Of an outline that one prompt was enough for. */
  public static Map<String, String> of(PromptResult result, String serverIdOrEmpty) {
    return of(result, List.of(result.request()), serverIdOrEmpty);
  }

  /**
   * Of an outline that was refined.
   *
   * @param result the last answer
   * @param revisions all requests for the object, in its order
   * @param serverIdOrEmpty the id under which the server stores it, or ""
   */
  public static Map<String, String> of(PromptResult result, List<PromptRequest> revisions, String serverIdOrEmpty) {
    Outline outline = result.outline();
    Map<String, String> metadata = new LinkedHashMap<>();
    metadata.put(MODEL, outline.model());
    metadata.put(WEIGHTS, outline.weightsHash());
    metadata.put(PROMPTS, PromptText.writeRequests(revisions));
    metadata.put(SCORE, String.format(Locale.ROOT, "%.3f", outline.score()));
    metadata.put(
        WINDOW,
        PromptJson.of(result.request().in(FieldChoice.window(outline.window()))).get("window").toString());
    if (outline.isRefined()) {
      metadata.put(LEVELS, PromptJson.of(outline.levels()).toString());
    }
    if (outline.cutByField()) {
      metadata.put(CUT, "true");
    }
    if (serverIdOrEmpty != null && !serverIdOrEmpty.isEmpty()) {
      metadata.put(ID, serverIdOrEmpty);
    }
    metadata.put(CLIENT, WsiSamClient.version());
    return metadata;
  }

  /**
   * The requests for an annotation; empty when it is not one of ours.
   *
   * @throws io.wsisam.client.WsiSamException BAD_PROMPT_TEXT: somebody changed it
   */
  public static Optional<List<PromptRequest>> revisions(Map<String, String> metadata) {
    return Optional.ofNullable(metadata.get(PROMPTS)).map(PromptText::readRequests);
  }
}
