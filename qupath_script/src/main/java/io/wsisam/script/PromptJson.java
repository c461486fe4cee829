package io.wsisam.script;

import com.google.gson.JsonArray;
import com.google.gson.JsonElement;
import com.google.gson.JsonObject;
import com.google.gson.JsonPrimitive;
import io.wsisam.client.segmentation.BoxPrompt;
import io.wsisam.client.segmentation.FieldChoice;
import io.wsisam.client.segmentation.FieldWindow;
import io.wsisam.client.segmentation.Level;
import io.wsisam.client.segmentation.PointPrompt;
import io.wsisam.client.segmentation.PolygonPart;
import io.wsisam.client.segmentation.Prompt;
import io.wsisam.client.segmentation.PromptRequest;
import io.wsisam.client.segmentation.Refinement;
import io.wsisam.client.segmentation.Viewport;
import java.math.BigDecimal;
import java.math.RoundingMode;
import java.util.ArrayList;
import java.util.List;

/** Prompts as JSON and back. What is malformed throws one of Gson's or Java's runtime exceptions. */
final class PromptJson {
  /** A thousandth of a pixel is finer than any screen. */
  private static final int DECIMALS = 3;

  private static final int BOX = 4;
  private static final int VIEWPORT = 5;
  private static final int WINDOW = 4;
  private static final int POINT = 3;

  private PromptJson() {}

  static JsonObject of(Prompt prompt) {
    JsonObject json = new JsonObject();
    BoxPrompt box = prompt.box();
    if (box != null) {
      json.add("box", rounded(box.x0(), box.y0(), box.x1(), box.y1()));
    }
    if (!prompt.points().isEmpty()) {
      JsonArray points = new JsonArray();
      for (PointPrompt point : prompt.points()) {
        JsonArray values = rounded(point.x(), point.y(), point.positive() ? 1 : 0);
        if (point.candidate() != null) {
          values.add(point.candidate());
        }
        points.add(values);
      }
      json.add("points", points);
    }
    if (!prompt.shape().isEmpty()) {
      JsonArray polygons = new JsonArray();
      for (PolygonPart part : prompt.shape()) {
        JsonArray rings = new JsonArray();
        rings.add(rounded(part.outer()));
        part.holes().forEach(hole -> rings.add(rounded(hole)));
        polygons.add(rings);
      }
      json.add("shape", polygons);
    }
    if (prompt.candidate() != null) {
      json.addProperty("candidate", prompt.candidate());
    }
    return json;
  }

  static JsonObject of(PromptRequest request) {
    JsonObject json = of(request.prompt());
    Viewport view = request.viewport();
    if (view != null) {
      json.add("viewport", exact(view.x0(), view.y0(), view.x1(), view.y1(), view.downsample()));
    }
    if (request.field() != null) {
      request.field().downsample().ifPresent(downsample -> json.add("downsample", number(downsample)));
      request.field()
          .window()
          .ifPresent(w -> json.add("window", exact(w.x(), w.y(), w.downsample(), w.size())));
    }
    if (request.refinement() != null) {
      json.add("refine", of(request.refinement()));
    }
    return json;
  }

  private static JsonObject of(Refinement refinement) {
    JsonObject json = new JsonObject();
    if (refinement.downsample() != null) {
      json.add("downsample", number(refinement.downsample()));
    }
    if (refinement.maxWindows() != null) {
      json.addProperty("windows", refinement.maxWindows());
    }
    return json;
  }

  static JsonArray of(List<Level> levels) {
    JsonArray json = new JsonArray();
    levels.forEach(level -> json.add(exact(level.downsample(), level.windows())));
    return json;
  }

  static Prompt prompt(JsonObject json) {
    List<PointPrompt> points = new ArrayList<>();
    if (json.has("points")) {
      for (JsonElement point : json.getAsJsonArray("points")) {
        int said = point.getAsJsonArray().size();
        double[] values = numbers(point, said == POINT + 1 ? said : POINT);
        Integer candidate = said == POINT ? null : Integer.valueOf(point.getAsJsonArray().get(POINT).getAsInt());
        points.add(new PointPrompt(values[0], values[1], values[2] > 0, candidate));
      }
    }
    BoxPrompt box = null;
    if (json.has("box")) {
      double[] values = numbers(json.get("box"), BOX);
      box = new BoxPrompt(values[0], values[1], values[2], values[3]);
    }
    List<PolygonPart> shape = new ArrayList<>();
    if (json.has("shape")) {
      for (JsonElement part : json.getAsJsonArray("shape")) {
        List<double[]> rings = new ArrayList<>();
        part.getAsJsonArray().forEach(ring -> rings.add(numbers(ring, ring.getAsJsonArray().size())));
        shape.add(new PolygonPart(rings.get(0), rings.subList(1, rings.size())));
      }
    }
    return new Prompt(points, box, shape, json.has("candidate") ? json.get("candidate").getAsInt() : null);
  }

  static PromptRequest request(JsonObject json) {
    PromptRequest request = PromptRequest.of(prompt(json));
    if (json.has("viewport")) {
      double[] v = numbers(json.get("viewport"), VIEWPORT);
      request = request.from(new Viewport(v[0], v[1], v[2], v[3], v[4]));
    }
    if (json.has("downsample")) {
      request = request.in(FieldChoice.downsample(json.get("downsample").getAsDouble()));
    }
    if (json.has("window")) {
      double[] w = numbers(json.get("window"), WINDOW);
      request = request.in(FieldChoice.window(new FieldWindow(w[0], w[1], w[2], (int) w[3])));
    }
    if (json.has("refine")) {
      request = request.refined(refinement(json.getAsJsonObject("refine")));
    }
    return request;
  }

  private static Refinement refinement(JsonObject json) {
    return new Refinement(
        json.has("downsample") ? json.get("downsample").getAsDouble() : null,
        json.has("windows") ? json.get("windows").getAsInt() : null);
  }

  private static double[] numbers(JsonElement json, int count) {
    JsonArray array = json.getAsJsonArray();
    if (array.size() != count) {
      throw new IllegalArgumentException("there should be " + count + " numbers: " + array);
    }
    double[] values = new double[count];
    for (int i = 0; i < count; i++) {
      values[i] = array.get(i).getAsDouble();
    }
    return values;
  }

  private static JsonArray rounded(double... values) {
    JsonArray array = new JsonArray();
    for (double value : values) {
      array.add(number(BigDecimal.valueOf(value).setScale(DECIMALS, RoundingMode.HALF_EVEN).doubleValue()));
    }
    return array;
  }

  private static JsonArray exact(double... values) {
    JsonArray array = new JsonArray();
    for (double value : values) {
      array.add(number(value));
    }
    return array;
  }

  /** Without ".0", without an exponent. */
  private static JsonPrimitive number(double value) {
    BigDecimal plain = new BigDecimal(Double.toString(value)).stripTrailingZeros();
    return new JsonPrimitive(plain.scale() < 0 ? plain.setScale(0) : plain);
  }
}
