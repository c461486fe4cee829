package io.wsisam.client.annotations;

import com.google.protobuf.FieldMask;
import com.google.protobuf.Timestamp;
import io.wsisam.client.connection.Errors;
import io.wsisam.client.segmentation.BoxPrompt;
import io.wsisam.client.segmentation.PolygonPart;
import io.wsisam.client.segmentation.SegmentationWire;
import io.wsisam.client.slides.Slide;
import io.wsisam.client.slides.SlideReference;
import io.wsisam.v1.AnnotatedSlide;
import io.wsisam.v1.Annotation;
import io.wsisam.v1.AnnotationFilter;
import io.wsisam.v1.AnnotationsListRequest;
import io.wsisam.v1.AnnotationsWatchRequest;
import io.wsisam.v1.Box;
import io.wsisam.v1.ChangeKind;
import io.wsisam.v1.DrawnPart;
import io.wsisam.v1.DrawnPath;
import io.wsisam.v1.DrawnShape;
import io.wsisam.v1.Field;
import io.wsisam.v1.PathClass;
import io.wsisam.v1.SaveItem;
import io.wsisam.v1.SavedAnnotation;
import io.wsisam.v1.Shape;
import io.wsisam.v1.ShapeKind;
import io.wsisam.v1.Window;
import java.time.Instant;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Set;

/** Annotations as messages of the contract, and back. */
final class AnnotationWire {
  private AnnotationWire() {}

  static Annotation annotation(StoredAnnotation stored) {
    Annotation.Builder message =
        Annotation.newBuilder()
            .setId(stored.id())
            .setRevision(stored.revision())
            .setSlideId(stored.slideId())
            .setShape(shape(stored.shape()))
            .setName(stored.name())
            .setProject(stored.project())
            .setLocked(stored.locked())
            .putAllMeasurements(stored.measurements())
            .putAllMetadata(stored.metadata());
    if (!stored.className().isEmpty()) {
      PathClass.Builder pathClass = PathClass.newBuilder().setName(stored.className());
      if (stored.classRgb() != null) {
        pathClass.setRgb(stored.classRgb());
      }
      message.setPathClass(pathClass);
    }
    if (stored.rgb() != null) {
      message.setRgb(stored.rgb());
    }
    if (stored.provenance() != null) {
      message.setProvenance(provenance(stored.provenance()));
    }
    return message.build();
  }

  static SaveItem item(StoredAnnotation stored) {
    return SaveItem.newBuilder().setAnnotation(annotation(stored)).build();
  }

  /** What is left out is ignored: it stays as it is in the store. */
  static SaveItem item(StoredAnnotation stored, Set<AnnotationField> fields) {
    Annotation.Builder message = annotation(stored).toBuilder().clearSlideId();
    FieldMask.Builder mask = FieldMask.newBuilder();
    for (AnnotationField field : AnnotationField.values()) {
      if (fields.contains(field)) {
        mask.addPaths(field.path());
      } else {
        message.clearField(Annotation.getDescriptor().findFieldByName(field.path()));
      }
    }
    return SaveItem.newBuilder().setAnnotation(message).setUpdateMask(mask).build();
  }

  static StoredSlide slide(io.wsisam.v1.StoredSlide message) {
    AnnotatedSlide slide = message.getSlide();
    return new StoredSlide(
        slide.getSlideId(),
        slide.getUrisList(),
        slide.getWidth(),
        slide.getHeight(),
        message.getAnnotationCount(),
        message.getRevision());
  }

  static StoredAnnotation annotation(Annotation message) {
    PathClass pathClass = message.getPathClass();
    return new StoredAnnotation(
        message.getId(),
        message.getRevision(),
        message.getSlideId(),
        shape(message.getShape()),
        pathClass.getName(),
        pathClass.hasRgb() ? Integer.valueOf(pathClass.getRgb()) : null,
        message.hasRgb() ? Integer.valueOf(message.getRgb()) : null,
        message.getName(),
        message.getProject(),
        message.getLocked(),
        message.getMeasurementsMap(),
        message.getMetadataMap(),
        message.hasProvenance() ? provenance(message.getProvenance()) : null,
        message.getAuthor(),
        instant(message.getCreateTime()),
        instant(message.getUpdateTime()),
        message.getChange() == ChangeKind.CHANGE_KIND_DELETED);
  }

  static SavedRevision saved(SavedAnnotation message) {
    return new SavedRevision(message.getId(), message.getRevision(), message.getUnchanged());
  }

  static AnnotatedSlide slide(Slide slide) {
    SlideReference reference = slide.reference();
    return AnnotatedSlide.newBuilder()
        .setSlideId(slide.annotationKey())
        .addAllUris(reference.uris().stream().filter(uri -> !uri.isEmpty()).toList())
        .setWidth(slide.width())
        .setHeight(slide.height())
        .build();
  }

  static AnnotationsListRequest request(AnnotationQuery query) {
    return AnnotationsListRequest.newBuilder()
        .setFilter(filter(query))
        .setSince(query.since())
        .setIncludeDeleted(query.withDeleted())
        .build();
  }

  static AnnotationsWatchRequest watch(AnnotationQuery query, long since) {
    return AnnotationsWatchRequest.newBuilder().setFilter(filter(query)).setSince(since).build();
  }

  private static AnnotationFilter filter(AnnotationQuery query) {
    AnnotationFilter.Builder filter = AnnotationFilter.newBuilder();
    if (query.slideId() != null) {
      filter.setSlideId(query.slideId());
    }
    if (query.uri() != null) {
      filter.setUri(query.uri());
    }
    if (query.project() != null) {
      filter.setProject(query.project());
    }
    if (query.author() != null) {
      filter.setAuthor(query.author());
    }
    if (query.className() != null) {
      filter.setPathClass(query.className());
    }
    BoxPrompt region = query.region();
    if (region != null) {
      filter.setRegion(
          Box.newBuilder().setX0(region.x0()).setY0(region.y0()).setX1(region.x1()).setY1(region.y1()));
    }
    return filter.build();
  }

  /** Always as drawn: exact for every coordinate. The server keeps what lies on its grid in the shorter form. */
  private static Shape shape(AnnotationShape shape) {
    DrawnShape.Builder drawn = DrawnShape.newBuilder().setKind(kind(shape.kind()));
    for (PolygonPart part : shape.parts()) {
      DrawnPart.Builder paths = DrawnPart.newBuilder().addPaths(path(part.outer()));
      part.holes().forEach(hole -> paths.addPaths(path(hole)));
      drawn.addParts(paths);
    }
    return Shape.newBuilder().setDrawn(drawn).build();
  }

  private static AnnotationShape shape(Shape message) {
    if (message.hasArea()) {
      return AnnotationShape.areas(SegmentationWire.parts(message.getArea()));
    }
    List<PolygonPart> parts = new ArrayList<>();
    for (DrawnPart part : message.getDrawn().getPartsList()) {
      List<double[]> paths = part.getPathsList().stream().map(AnnotationWire::path).toList();
      if (!paths.isEmpty()) {
        parts.add(new PolygonPart(paths.get(0), paths.subList(1, paths.size())));
      }
    }
    return new AnnotationShape(kind(message.getDrawn().getKind()), parts);
  }

  private static DrawnPath path(double[] vertices) {
    return DrawnPath.newBuilder()
        .addAllCoordinates(() -> Arrays.stream(vertices).iterator())
        .build();
  }

  private static double[] path(DrawnPath message) {
    return message.getCoordinatesList().stream().mapToDouble(Double::doubleValue).toArray();
  }

  private static ShapeKind kind(AnnotationShape.Kind kind) {
    return switch (kind) {
      case AREAS -> ShapeKind.SHAPE_KIND_AREAS;
      case LINES -> ShapeKind.SHAPE_KIND_LINES;
      case POINTS -> ShapeKind.SHAPE_KIND_POINTS;
    };
  }

  private static AnnotationShape.Kind kind(ShapeKind kind) {
    return switch (kind) {
      case SHAPE_KIND_AREAS -> AnnotationShape.Kind.AREAS;
      case SHAPE_KIND_LINES -> AnnotationShape.Kind.LINES;
      case SHAPE_KIND_POINTS -> AnnotationShape.Kind.POINTS;
      case SHAPE_KIND_UNSPECIFIED, UNRECOGNIZED -> throw Errors.unexpected("a shape of a kind that is not known here");
    };
  }

  private static io.wsisam.v1.Provenance provenance(Provenance provenance) {
    io.wsisam.v1.Provenance.Builder message =
        io.wsisam.v1.Provenance.newBuilder()
            .setModel(provenance.model())
            .setWeightsHash(provenance.weightsHash());
    if (provenance.prompt() != null) {
      message.setPrompt(SegmentationWire.prompt(provenance.prompt()));
    }
    if (provenance.window() != null) {
      message.setField(Field.newBuilder().setHigh(SegmentationWire.window(provenance.window())));
    }
    if (provenance.score() != null) {
      message.setScore(provenance.score());
    }
    provenance
        .levels()
        .forEach(level -> message.addLevelsBuilder().setDownsample(level.downsample()).setWindows(level.windows()));
    return message.build();
  }

  private static Provenance provenance(io.wsisam.v1.Provenance message) {
    Window high = message.getField().getHigh();
    return new Provenance(
        message.getModel(),
        message.getWeightsHash(),
        message.hasPrompt() ? SegmentationWire.prompt(message.getPrompt()) : null,
        message.hasField() ? SegmentationWire.window(high) : null,
        message.hasScore() ? Double.valueOf(message.getScore()) : null,
        SegmentationWire.levels(message.getLevelsList()));
  }

  private static Instant instant(Timestamp time) {
    return Instant.ofEpochSecond(time.getSeconds(), time.getNanos());
  }
}
