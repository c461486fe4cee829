package io.wsisam.script;

import io.wsisam.client.connection.ClientReason;
import io.wsisam.client.connection.WsiSamException;
import io.wsisam.client.segmentation.BoxPrompt;
import io.wsisam.client.segmentation.Failure;
import io.wsisam.client.segmentation.FieldChoice;
import io.wsisam.client.segmentation.PolygonPart;
import io.wsisam.client.segmentation.Prompt;
import io.wsisam.client.segmentation.PromptRequest;
import io.wsisam.client.segmentation.PromptResult;
import io.wsisam.client.segmentation.Refinement;
import io.wsisam.client.segmentation.Session;
import io.wsisam.client.segmentation.Viewport;
import java.util.ArrayDeque;
import java.util.ArrayList;
import java.util.Deque;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import java.util.Optional;

/**
 * One object being drawn. Its steps are asked one after another, each after the answer to the one before: the server
 * builds an outline on the last one, so that the same steps give the same outline again, with {@code
 * WsiSamClient.replay}. Answers are kept: undo shows the one before without asking.
 *
 * <p>The newest step's border may be refined, which is one more step, for undo too. It takes long, so that a click or box does
 * not wait for it but calls it off; and none builds on it.
 *
 * <p>Safe to use from any thread; nothing blocks.
 */
public final class Draft {
  /** Sends a draft's prompts. */
  public interface PromptSender {
    /** See {@link Session#prompt}. */
    int prompt(String objectId, PromptRequest request);

    /** See {@link Session#forget}. */
    void forget(String objectId);

    /** A session as a sender. */
    static PromptSender of(Session session) {
      return new PromptSender() {
        @Override
        public int prompt(String objectId, PromptRequest request) {
          return session.prompt(objectId, request);
        }

        @Override
        public void forget(String objectId) {
          session.forget(objectId);
        }
      };
    }
  }

  /** As many as a server gives. */
  private static final int MAX_CANDIDATES = 4;

  private final PromptHistory history;
  private final Map<Prompt, Viewport> viewports = new HashMap<>();
  private final Map<Prompt, Deque<Refinement>> refinements = new HashMap<>();
  private final Map<PromptRequest, PromptResult> answers = new HashMap<>();
  /** Of answers of which another candidate than the chosen one is shown, its number, by prompt. */
  private final Map<Prompt, Integer> shownCandidates = new HashMap<>();

  /** Whose border is refined, by prompt, where it is not the model's own answer. */
  private final Map<Prompt, Integer> refinedCandidates = new HashMap<>();

  /** The fields in which a prompt is asked in place of the server's choice, by prompt, the newest last. */
  private final Map<Prompt, Deque<FieldChoice>> fields = new HashMap<>();

  /** The field that a prompt has from the one before it, by prompt. */
  private final Map<Prompt, FieldChoice> inherited = new HashMap<>();

  private final List<PromptRequest> sent = new ArrayList<>();
  private PromptSender sender;
  private int run = 1;
  private PromptRequest waiting;
  private int revision;
  private PromptResult before;

  private Draft(PromptHistory history) {
    this.history = history;
  }

  /** A draft of a new object, with a random UUID. */
  public static Draft start() {
    return new Draft(PromptHistory.start());
  }

  /**
   * A draft that goes on with an object that there is already.
   *
   * @param objectId its id
   * @param requests those that led to its outline, as {@link #requests} gave them
   */
  public static Draft goingOn(String objectId, List<PromptRequest> requests) {
    Draft draft = new Draft(new PromptHistory(objectId));
    for (PromptRequest request : requests) {
      Prompt prompt = request.prompt().meaning(null);
      if (request.refinement() != null) {
        draft.refinements.computeIfAbsent(prompt, same -> new ArrayDeque<>()).add(request.refinement());
        if (request.prompt().candidate() != null) {
          draft.refinedCandidates.put(prompt, request.prompt().candidate());
        }
        continue;
      }
      draft.history.step(prompt);
      if (request.viewport() != null) {
        draft.viewports.put(prompt, request.viewport());
      }
      if (request.field() != null) {
        draft.inherited.put(prompt, request.field());
      }
      if (request.prompt().candidate() != null) {
        draft.shownCandidates.put(prompt, request.prompt().candidate());
      }
    }
    return draft;
  }

  /**
   * A draft that goes on with an object of which only the shape is known: somebody drew it.
   *
   * @param objectId its id
   * @param shape its parts, which are the prompt
   */
  public static Draft ofShape(String objectId, List<PolygonPart> shape, Viewport viewport) {
    return goingOn(objectId, List.of(PromptRequest.of(Prompt.shape(shape)).from(viewport)));
  }

  /** The object's id, a UUID: also that of the annotation that it may become. */
  public String id() {
    return history.objectId();
  }

  /** Adds a click, as seen in this viewport, and asks. */
  public synchronized void click(double x, double y, boolean positive, Viewport viewport) {
    stopRefining();
    FieldChoice field = chosenField();
    history.click(x, y, positive, seenCandidate());
    added(viewport, field);
  }

  /** Sets the box, as seen in this viewport, and asks. */
  public synchronized void box(BoxPrompt box, Viewport viewport) {
    stopRefining();
    FieldChoice field = chosenField();
    history.box(box);
    added(viewport, field);
  }

  /** Sets the rough outline, as seen in this viewport, and asks. */
  public synchronized void shape(List<PolygonPart> shape, Viewport viewport) {
    stopRefining();
    FieldChoice field = chosenField();
    history.shape(shape);
    added(viewport, field);
  }

  private void added(Viewport viewport, FieldChoice field) {
    viewports.put(history.prompt(), viewport);
    if (field != null) {
      inherited.put(history.prompt(), field); // the user has chosen the scale; a click does not undo that
    }
    pump();
  }

  /** The field that the newest step is asked in; null where the server chooses. */
  private FieldChoice chosenField() {
    return fieldOf(history.prompt());
  }

  private FieldChoice fieldOf(Prompt prompt) {
    Deque<FieldChoice> chosen = fields.get(prompt);
    return chosen == null || chosen.isEmpty() ? inherited.get(prompt) : chosen.getLast();
  }

  /**
   * Shows a smaller or a larger object: the next candidate of the newest step's outline, and past the last one what the model
   * sees in half or double the field, which is asked for. What is left stays for undo.
   *
   * @return whether there is one, or it was requested
   */
  public synchronized boolean resize(boolean larger) {
    if (showCandidate(larger)) {
      return true;
    }
    if (!isSettled()) {
      return false;
    }
    double downsample = shown().orElseThrow().outline().window().downsample() * (larger ? 2 : 0.5);
    fields.computeIfAbsent(history.prompt(), prompt -> new ArrayDeque<>()).add(FieldChoice.downsample(downsample));
    pump();
    return true;
  }

  /** Whether {@link #resize} chose what the model sees of the newest step. */
  public synchronized boolean hasChosenField() {
    return chosenField() != null;
  }

  /** How many candidates the newest step's outline is one of; 1 where there is no choice, 0 while it is not answered. */
  public synchronized int candidateCount() {
    return isSettled() ? Math.max(1, shown().orElseThrow().outline().candidates().size()) : 0;
  }

  /**
   * Shows another candidate of the newest step's outline, without asking: the next in ascending area, or the one before. The
   * next click corrects the one that is shown.
   *
   * @param larger whether it is the next larger one
   * @return whether there is one
   */
  public synchronized boolean showCandidate(boolean larger) {
    if (candidateCount() < 2) {
      return false;
    }
    int next = shown().orElseThrow().outline().chosen() + (larger ? 1 : -1);
    if (next < 0 || next >= candidateCount()) {
      return false;
    }
    shownCandidates.put(history.prompt(), shown().orElseThrow().outline().candidates().get(next).number());
    return true;
  }

  /** The number of the candidate that is seen; null where that is the model's own answer, as in a new prompt. */
  private Integer seenCandidate() {
    Optional<PromptResult> seen = isSettled() ? shown() : Optional.empty();
    return seen.map(PromptResult::candidate).filter(number -> number != 0).orElse(null);
  }

  /** Whether the newest step is settled, and its outline {@link io.wsisam.client.Outline#isRefinable}. */
  public synchronized boolean isRefinable(double downsample) {
    return isSettled() && shown().orElseThrow().outline().isRefinable(downsample);
  }

  /**
   * Asks for the newest step's outline with a finer border; what is shown stays until then. Does nothing unless it {@link
   * #isRefinable}.
   *
   * @param downsample level-0 pixels per cell of the finest mask
   * @return whether it was requested
   */
  public synchronized boolean refine(double downsample) {
    if (!isRefinable(downsample)) {
      return false;
    }
    Integer candidate = seenCandidate();
    if (candidate != null) {
      refinedCandidates.put(history.prompt(), candidate);
    } else {
      refinedCandidates.remove(history.prompt());
    }
    refinements.computeIfAbsent(history.prompt(), prompt -> new ArrayDeque<>()).add(Refinement.to(downsample));
    pump();
    return true;
  }

  /** Whether a finer border was asked for and is not there yet. */
  public synchronized boolean isRefining() {
    return !refinementsOf(history.prompt()).isEmpty() && !isSettled();
  }

  /** Calls off a finer border that is not there yet; false when none was asked for. */
  public synchronized boolean stopRefining() {
    if (!isRefining()) {
      return false;
    }
    refinements.get(history.prompt()).removeLast();
    pump();
    return true;
  }

  /** Takes the last click, box or shape back, or what was asked for after it: a finer border, another field; false when there is none. */
  public synchronized boolean undo() {
    boolean undone =
        refinementsOf(history.prompt()).pollLast() != null
            || fieldsOf(history.prompt()).pollLast() != null
            || history.undo();
    pump();
    return undone;
  }

  /** Does again what was undone last; false when there is nothing. */
  public synchronized boolean redo() {
    boolean redone = history.redo();
    pump();
    return redone;
  }

  /** Whether there is no step, or all were undone. */
  public boolean isEmpty() {
    return history.isEmpty();
  }

  /** Whether there is something to ask: a box, a shape or a positive click. */
  public boolean isSendable() {
    return history.isSendable();
  }

  /** All steps that were not undone. */
  public Prompt prompt() {
    return history.prompt();
  }

  /** For people, for example "box, 2 positive, 1 negative". */
  public String summary() {
    return history.summary();
  }

  /** What to show: the answer to the newest step that has one. */
  public synchronized Optional<PromptResult> shown() {
    List<PromptRequest> steps = steps();
    for (int i = steps.size() - 1; i >= 0; i--) {
      PromptResult result = answers.get(steps.get(i));
      if (result != null) {
        Integer candidate = shownCandidates.get(steps.get(i).prompt());
        return Optional.of(candidate == null ? result : result.showing(candidate));
      }
    }
    return steps.isEmpty() ? Optional.empty() : Optional.ofNullable(before);
  }

  /** Whether the newest step is answered. */
  public synchronized boolean isSettled() {
    List<PromptRequest> steps = steps();
    return !steps.isEmpty() && answers.containsKey(steps.get(steps.size() - 1));
  }

  /** The steps that led to {@link #shown} once the draft is settled, for replay and for the annotation's metadata. */
  public synchronized List<PromptRequest> requests() {
    List<PromptRequest> steps = new ArrayList<>(steps());
    Integer candidate = seenCandidate();
    if (candidate != null) {
      steps.add(steps.remove(steps.size() - 1).meaning(candidate));
    }
    return List.copyOf(steps);
  }

  /** The steps as they are asked. A single click, which may mean more than one object, is asked for all of them. */
  private List<PromptRequest> steps() {
    List<PromptRequest> steps = new ArrayList<>();
    for (Prompt prompt : history.steps()) {
      steps.add(
          PromptRequest.of(prompt)
              .from(viewports.get(prompt))
              .in(fieldOf(prompt))
              .withCandidates(prompt.isSingleClick() ? MAX_CANDIDATES : null));
    }
    for (Refinement finer : refinementsOf(history.prompt())) {
      PromptRequest last = steps.get(steps.size() - 1);
      steps.add(last.meaning(refinedCandidates.get(history.prompt())).withCandidates(null).refined(finer));
    }
    return List.copyOf(steps);
  }

  /** Uses another sender from now on, for all steps again; what was shown stays until it is answered there. */
  public synchronized void sendTo(PromptSender newSender) {
    before = shown().orElse(null);
    answers.clear();
    sender = Objects.requireNonNull(newSender);
    startAgain();
    pump();
  }

  /** Takes a result of the sender; false when it is not of this draft, or came too late. */
  public synchronized boolean answered(PromptResult result) {
    if (!isAwaited(result.objectId(), result.revision())) {
      return false;
    }
    answers.put(waiting, result);
    sent.add(waiting);
    waiting = null;
    pump();
    return true;
  }

  /**
   * Takes a failure of the line: the step that failed is taken back, and all after it; of one that was asked in another field,
   * only that; a border that could not be refined stays as it was. While the server is away, nothing is taken back: {@link #resume} asks again.
   *
   * @return whether something was taken back
   */
  public synchronized boolean failed(Failure failure) {
    if (!isAwaited(failure.objectId(), failure.revision())) {
      return false;
    }
    PromptRequest refused = waiting;
    waiting = null;
    if (isAway(failure.error())) {
      return false;
    }
    if (refused.refinement() != null) {
      refinementsOf(refused.prompt().meaning(null)).removeLastOccurrence(refused.refinement());
    }
    boolean ofTheField = refused.refinement() == null && fieldsOf(refused.prompt()).pollLast() != null;
    while (!ofTheField && refused.refinement() == null && history.steps().contains(refused.prompt())) {
      history.undo();
    }
    pump();
    return true;
  }

  /** Asks again what could not be asked while the server was away. */
  public synchronized void resume() {
    pump();
  }

  /** Ends the work on the object, accepted or not. */
  public synchronized void end() {
    forget();
    sender = null;
  }

  /** Whether the error is about the connection and not about the step. */
  private static boolean isAway(WsiSamException error) {
    return switch (error.reason()) {
      case ClientReason.SESSION_CLOSED, ClientReason.CLIENT_CLOSED -> true;
      case ClientReason.NO_ANSWER_IN_TIME -> false;
      default -> error.isConnection();
    };
  }

  private boolean isAwaited(String objectId, int answeredRevision) {
    return waiting != null && answeredRevision == revision && wireId().equals(objectId);
  }

  /** Asks the next step, unless an answer is awaited or all is answered. */
  private void pump() {
    List<PromptRequest> steps = steps();
    if (waiting != null && waiting.refinement() != null && !steps.contains(waiting)) {
      forget(); // called off: the server need not go on with it
      startAgain();
    }
    if (sender == null || waiting != null || steps.isEmpty() || answers.containsKey(steps.get(steps.size() - 1))) {
      return;
    }
    if (sent.size() >= steps.size() || !steps.subList(0, sent.size()).equals(sent)) {
      forget();
      startAgain(); // the server has steps that were undone since
    }
    if (sender == null) {
      return;
    }
    PromptRequest next = steps.get(sent.size());
    try {
      revision = sender.prompt(wireId(), next);
      waiting = next;
    } catch (WsiSamException closed) {
      sender = null; // until there is another one
    }
  }

  private Deque<Refinement> refinementsOf(Prompt prompt) {
    return refinements.getOrDefault(prompt, new ArrayDeque<>());
  }

  private Deque<FieldChoice> fieldsOf(Prompt prompt) {
    return fields.getOrDefault(prompt, new ArrayDeque<>());
  }

  private void forget() {
    try {
      if (sender != null) {
        sender.forget(wireId());
      }
    } catch (WsiSamException closed) {
      sender = null; // and all is forgotten
    }
  }

  private void startAgain() {
    waiting = null;
    sent.clear();
    run++;
  }

  /** The object's name on the wire: another one for each time that its steps are sent from the start. */
  private String wireId() {
    return history.objectId() + "." + run;
  }
}
