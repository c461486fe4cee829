package io.wsisam.script;

import io.wsisam.client.segmentation.BoxPrompt;
import io.wsisam.client.segmentation.PointPrompt;
import io.wsisam.client.segmentation.PolygonPart;
import io.wsisam.client.segmentation.Prompt;
import java.util.ArrayList;
import java.util.List;
import java.util.Objects;
import java.util.UUID;

/** The prompts of one object that is being drawn, and what undo takes back. Safe to use from any thread. */
public final class PromptHistory {
  private static final Prompt NOTHING = new Prompt(List.of(), null);

  private final String objectId;
  private final List<Prompt> steps = new ArrayList<>();
  private int shown;

  /** A history of an object that has an id already. */
  public PromptHistory(String objectId) {
    this.objectId = Objects.requireNonNull(objectId);
  }

  /** A history of a new object, with a random UUID. */
  public static PromptHistory start() {
    return new PromptHistory(UUID.randomUUID().toString());
  }

  /** The object's id: also that of the annotation that it may become. */
  public String objectId() {
    return objectId;
  }

  /** Adds a click. */
  public void click(double x, double y, boolean positive) {
    click(x, y, positive, null);
  }

  /**
   * Adds a click.
   *
   * @param candidate the number of the candidate that it corrects; null for the chosen one
   */
  public synchronized void click(double x, double y, boolean positive, Integer candidate) {
    add(prompt().withPoint(new PointPrompt(x, y, positive, candidate)));
  }

  /** Sets the box, in place of an earlier one. */
  public synchronized void box(BoxPrompt box) {
    add(prompt().withBox(Objects.requireNonNull(box)));
  }

  /** Sets the rough outline, in place of an earlier one. */
  public synchronized void shape(List<PolygonPart> shape) {
    add(prompt().withShape(shape));
  }

  /** Adds a whole prompt, as an earlier history had it. */
  public synchronized void step(Prompt prompt) {
    add(Objects.requireNonNull(prompt));
  }

  /** Takes the last click, box or shape back; false when there is none. */
  public synchronized boolean undo() {
    if (shown == 0) {
      return false;
    }
    shown--;
    return true;
  }

  /** Does again what was undone last; false when there is nothing. */
  public synchronized boolean redo() {
    if (shown == steps.size()) {
      return false;
    }
    shown++;
    return true;
  }

  /** Whether there is no step, or all were undone. */
  public synchronized boolean isEmpty() {
    return shown == 0;
  }

  /** Whether a server answers it as it is: see {@link Prompt#isSendable}. */
  public synchronized boolean isSendable() {
    return prompt().isSendable();
  }

  /** All steps that were not undone. */
  public synchronized Prompt prompt() {
    return shown == 0 ? NOTHING : steps.get(shown - 1);
  }

  /** Clicks, boxes and shapes that were not taken back. */
  public synchronized int size() {
    return shown;
  }

  /** The prompts in the order in which they grew, those that a server answers: to ask for the same again. */
  public synchronized List<Prompt> steps() {
    return steps.subList(0, shown).stream().filter(Prompt::isSendable).toList();
  }

  /** For people, for example "box, 2 positive, 1 negative". */
  public synchronized String summary() {
    Prompt prompt = prompt();
    long positive = prompt.points().stream().filter(PointPrompt::positive).count();
    long negative = prompt.points().size() - positive;
    List<String> parts = new ArrayList<>();
    if (prompt.box() != null) {
      parts.add("box");
    }
    if (!prompt.shape().isEmpty()) {
      parts.add("shape");
    }
    if (positive > 0) {
      parts.add(positive + " positive");
    }
    if (negative > 0) {
      parts.add(negative + " negative");
    }
    return parts.isEmpty() ? "nothing yet" : String.join(", ", parts);
  }

  private void add(Prompt prompt) {
    steps.subList(shown, steps.size()).clear();
    steps.add(prompt);
    shown++;
  }
}
