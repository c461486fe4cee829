package io.wsisam.client.segmentation;

import io.wsisam.client.slides.Lengths;
import io.wsisam.client.slides.Slide;
import io.wsisam.client.slides.SlideWire;
import io.wsisam.v1.Box;
import io.wsisam.v1.ExemplarLabel;
import io.wsisam.v1.MultiPolygon;
import io.wsisam.v1.OutlineOptions;
import io.wsisam.v1.PathClass;
import io.wsisam.v1.Point;
import io.wsisam.v1.PointLabel;
import io.wsisam.v1.Polygon;
import io.wsisam.v1.PromptPoint;
import io.wsisam.v1.PromptRevision;
import io.wsisam.v1.Ring;
import io.wsisam.v1.SegmentRequest;
import io.wsisam.v1.Window;
import java.util.ArrayList;
import java.util.List;
import java.util.OptionalDouble;

/** Prompts and outlines as messages of the contract, and back. */
public final class SegmentationWire {
  /** Steps of a ring's grid in one level-0 pixel. */
  private static final double GRID = 32;

  private SegmentationWire() {}

  public static io.wsisam.v1.Prompt prompt(Prompt prompt) {
    io.wsisam.v1.Prompt.Builder message = io.wsisam.v1.Prompt.newBuilder();
    prompt.points().forEach(point -> message.addPoints(point(point)));
    BoxPrompt box = prompt.box();
    if (box != null) {
      message.setBox(box(box.x0(), box.y0(), box.x1(), box.y1()));
    }
    if (!prompt.shape().isEmpty()) {
      message.setShape(areas(prompt.shape()));
    }
    if (prompt.candidate() != null) {
      message.setCandidate(prompt.candidate());
    }
    return message.build();
  }

  private static PromptPoint point(PointPrompt point) {
    PromptPoint.Builder message =
        PromptPoint.newBuilder()
            .setPosition(Point.newBuilder().setX(point.x()).setY(point.y()))
            .setLabel(point.positive() ? PointLabel.POINT_LABEL_POSITIVE : PointLabel.POINT_LABEL_NEGATIVE);
    if (point.candidate() != null) {
      message.setCandidate(point.candidate());
    }
    return message.build();
  }

  public static Prompt prompt(io.wsisam.v1.Prompt message) {
    List<PointPrompt> points = new ArrayList<>();
    for (PromptPoint point : message.getPointsList()) {
      points.add(
          new PointPrompt(
              point.getPosition().getX(),
              point.getPosition().getY(),
              point.getLabel() == PointLabel.POINT_LABEL_POSITIVE,
              point.hasCandidate() ? point.getCandidate() : null));
    }
    Box box = message.getBox();
    return new Prompt(
        points,
        message.hasBox() ? new BoxPrompt(box.getX0(), box.getY0(), box.getX1(), box.getY1()) : null,
        parts(message.getShape()),
        message.hasCandidate() ? message.getCandidate() : null);
  }

  static io.wsisam.v1.Viewport viewport(Viewport viewport) {
    return io.wsisam.v1.Viewport.newBuilder()
        .setRegion(box(viewport.x0(), viewport.y0(), viewport.x1(), viewport.y1()))
        .setDownsample(viewport.downsample())
        .build();
  }

  static io.wsisam.v1.FieldChoice field(FieldChoice choice) {
    io.wsisam.v1.FieldChoice.Builder message = io.wsisam.v1.FieldChoice.newBuilder();
    choice.downsample().ifPresent(message::setDownsample);
    choice
        .window()
        .ifPresent(window -> message.setHigh(window(window)));
    return message.build();
  }

  static io.wsisam.v1.Refinement refinement(Refinement wanted) {
    io.wsisam.v1.Refinement.Builder message = io.wsisam.v1.Refinement.newBuilder();
    if (wanted.downsample() != null) {
      message.setDownsample(wanted.downsample());
    }
    if (wanted.maxWindows() != null) {
      message.setMaxWindows(wanted.maxWindows());
    }
    return message.build();
  }

  public static Window window(FieldWindow window) {
    return Window.newBuilder()
        .setX(window.x())
        .setY(window.y())
        .setDownsample(window.downsample())
        .setSize(window.size())
        .build();
  }

  public static FieldWindow window(Window message) {
    return new FieldWindow(message.getX(), message.getY(), message.getDownsample(), message.getSize());
  }

  static OutlineOptions options(SegmentOptions options, Lengths lengths) {
    OutlineOptions.Builder message = OutlineOptions.newBuilder();
    if (options.tolerance() != null) {
      message.setTolerance(lengths.length(options.tolerance()));
    }
    if (options.minArea() != null) {
      message.setMinArea(lengths.area(options.minArea()));
    }
    if (options.parts() != null) {
      message.setParts(
          options.parts() == PartsPolicy.ALL
              ? io.wsisam.v1.PartsPolicy.PARTS_POLICY_ALL
              : io.wsisam.v1.PartsPolicy.PARTS_POLICY_PROMPTED);
    }
    if (options.fillHolesBelow() != null) {
      message.setFillHolesBelow(lengths.area(options.fillHolesBelow()));
    }
    if (options.smoothing() != null) {
      message.setSmoothing(lengths.length(options.smoothing()));
    }
    if (options.honourPoints() != null) {
      message.setHonourPoints(options.honourPoints());
    }
    if (options.maxCandidates() != null) {
      message.setMaxCandidates(options.maxCandidates());
    }
    return message.build();
  }

  static SegmentRequest.Builder request(Slide slide, PromptRequest request, SegmentOptions options) {
    SegmentRequest.Builder message =
        SegmentRequest.newBuilder()
            .setSlideId(slide.id())
            .setModel(options.model())
            .setPrompt(prompt(request.prompt()))
            .setOptions(options(options.of(request), Lengths.of(slide)));
    slide.reference().mpp().ifPresent(message::setMpp);
    if (request.viewport() != null) {
      message.setViewport(viewport(request.viewport()));
    }
    if (request.field() != null) {
      message.setField(field(request.field()));
    }
    if (request.refinement() != null) {
      message.setRefine(refinement(request.refinement()));
    }
    return message;
  }

  static io.wsisam.v1.BatchItem item(BatchItem item) {
    PromptRequest request = item.request();
    io.wsisam.v1.BatchItem.Builder message =
        io.wsisam.v1.BatchItem.newBuilder().setId(item.id()).setPrompt(prompt(request.prompt()));
    if (request.viewport() != null) {
      message.setViewport(viewport(request.viewport()));
    }
    if (request.field() != null) {
      message.setField(field(request.field()));
    }
    if (request.refinement() != null) {
      message.setRefine(refinement(request.refinement()));
    }
    return message.build();
  }

  /**
   * A revision.
   *
   * @param options of the stream; sent only where the request says something else in their place
   * @param lengths how the stream's lengths are sent
   */
  static PromptRevision revision(
      String objectId, int revision, PromptRequest request, SegmentOptions options, Lengths lengths) {
    PromptRevision.Builder message =
        PromptRevision.newBuilder()
            .setObjectId(objectId)
            .setRevision(revision)
            .setPrompt(prompt(request.prompt()));
    if (request.maxCandidates() != null) {
      message.setOptions(options(options.of(request), lengths));
    }
    if (request.viewport() != null) {
      message.setViewport(viewport(request.viewport()));
    }
    if (request.field() != null) {
      message.setField(field(request.field()));
    }
    if (request.refinement() != null) {
      message.setRefine(refinement(request.refinement()));
    }
    return message.build();
  }

  static Outline outline(io.wsisam.v1.Outline message) {
    io.wsisam.v1.Timings timings = message.getTimings();
    return new Outline(
        parts(message.getGeometry()),
        message.getScore(),
        window(message.getField().getHigh()),
        message.getCutByField(),
        message.getTolerance(),
        SlideWire.inMicrons(message.getUnit()),
        message.getDroppedParts(),
        message.getDroppedHoles(),
        message.getModel(),
        message.getWeightsHash(),
        new Timings(
            timings.getQueueMs(),
            timings.getReadMs(),
            timings.getEncodeMs(),
            timings.getDecodeMs(),
            timings.getPolygonMs(),
            timings.getEncoderRuns()),
        levels(message.getLevelsList()),
        message.getTruncated(),
        message.getUnhonouredPointsList(),
        message.getCandidatesList().stream().map(SegmentationWire::candidate).toList(),
        message.getChosen());
  }

  private static Candidate candidate(io.wsisam.v1.Candidate message) {
    return new Candidate(
        message.getNumber(),
        parts(message.getGeometry()),
        message.getScore(),
        message.getCutByField(),
        message.getUnhonouredPointsList());
  }

  public static List<Level> levels(List<io.wsisam.v1.Level> messages) {
    return messages.stream().map(one -> new Level(one.getDownsample(), one.getWindows())).toList();
  }

  /** Areas; each vertex moves to the grid of the contract, 1/32 pixel. */
  static MultiPolygon areas(List<PolygonPart> parts) {
    MultiPolygon.Builder message = MultiPolygon.newBuilder();
    for (PolygonPart part : parts) {
      Polygon.Builder polygon = Polygon.newBuilder().addRings(deltas(part.outer()));
      part.holes().forEach(hole -> polygon.addRings(deltas(hole)));
      message.addPolygons(polygon);
    }
    return message.build();
  }

  static io.wsisam.v1.ProposalFilter filter(ProposalFilter filter, Lengths lengths) {
    io.wsisam.v1.ProposalFilter.Builder message =
        io.wsisam.v1.ProposalFilter.newBuilder()
            .setMinSize(lengths.length(filter.minSize()))
            .setMaxSize(lengths.length(filter.maxSize()));
    if (filter.minScore() != null) {
      message.setMinScore(filter.minScore());
    }
    if (filter.minStability() != null) {
      message.setMinStability(filter.minStability());
    }
    if (filter.minAgreement() != null) {
      message.setMinAgreement(filter.minAgreement());
    }
    if (filter.maxOverlap() != null) {
      message.setMaxOverlap(filter.maxOverlap());
    }
    return message.build();
  }

  /** An exemplar of a search of a slide. */
  static io.wsisam.v1.Exemplar exemplar(Exemplar exemplar, Slide searched) {
    io.wsisam.v1.Exemplar.Builder message =
        io.wsisam.v1.Exemplar.newBuilder()
            .setLabel(exemplar.positive() ? ExemplarLabel.EXEMPLAR_LABEL_POSITIVE : ExemplarLabel.EXEMPLAR_LABEL_NEGATIVE);
    if (exemplar.annotationId() == null) {
      message.setGeometry(areas(exemplar.areas()));
      if (exemplar.slide() != null && exemplar.slide() != searched) {
        message.setSlideId(exemplar.slide().id());
      }
    } else {
      message.setAnnotationId(exemplar.annotationId().toString());
    }
    if (!exemplar.className().isEmpty()) {
      message.setPathClass(PathClass.newBuilder().setName(exemplar.className()));
    }
    return message.build();
  }

  /** What followed from exemplars, its sizes in a user's unit. */
  static Likeness likeness(io.wsisam.v1.Likeness message, Lengths lengths) {
    double unit = lengths.length(1);
    return new Likeness(
        message.getMinSize() / unit,
        message.getMaxSize() / unit,
        message.hasExpectedPrecision() ? OptionalDouble.of(message.getExpectedPrecision()) : OptionalDouble.empty(),
        message.getUnsure());
  }

  private static Ring deltas(double[] vertices) {
    Ring.Builder ring = Ring.newBuilder();
    long[] before = new long[2];
    for (int i = 0; i < vertices.length; i++) {
      long now = Math.round(vertices[i] * GRID);
      ring.addDeltas(Math.toIntExact(now - before[i % 2]));
      before[i % 2] = now;
    }
    return ring.build();
  }

  public static List<PolygonPart> parts(MultiPolygon message) {
    List<PolygonPart> parts = new ArrayList<>();
    for (Polygon polygon : message.getPolygonsList()) {
      List<double[]> rings = polygon.getRingsList().stream().map(SegmentationWire::ring).toList();
      if (!rings.isEmpty()) {
        parts.add(new PolygonPart(rings.get(0), rings.subList(1, rings.size())));
      }
    }
    return parts;
  }

  private static double[] ring(Ring ring) {
    double[] vertices = new double[ring.getDeltasCount()];
    long[] at = new long[2];
    for (int i = 0; i < vertices.length; i++) {
      at[i % 2] += ring.getDeltas(i);
      vertices[i] = at[i % 2] / GRID;
    }
    return vertices;
  }

  private static Box box(double x0, double y0, double x1, double y1) {
    return Box.newBuilder().setX0(x0).setY0(y0).setX1(x1).setY1(y1).build();
  }
}
