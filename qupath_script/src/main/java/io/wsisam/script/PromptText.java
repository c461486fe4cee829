package io.wsisam.script;

import com.google.gson.JsonArray;
import com.google.gson.JsonElement;
import com.google.gson.JsonParseException;
import com.google.gson.JsonParser;
import io.wsisam.client.connection.WsiSamException;
import io.wsisam.client.segmentation.Prompt;
import io.wsisam.client.segmentation.PromptRequest;
import java.util.ArrayList;
import java.util.List;
import java.util.function.Function;

/**
 * Prompts as one line of JSON, and back: {@code {"box":[x0,y0,x1,y1],"points":[[x,y,1],[x,y,0]]}}, 1 for a positive
 * point, level-0 pixels to a thousandth. The same text in every language of the user.
 */
public final class PromptText {
  private PromptText() {}

  /** A prompt as text. */
  public static String write(Prompt prompt) {
    return PromptJson.of(prompt).toString();
  }

  /**
   * A text as a prompt.
   *
   * @throws io.wsisam.client.WsiSamException BAD_PROMPT_TEXT
   */
  public static Prompt read(String text) {
    return parsed(text, json -> PromptJson.prompt(json.getAsJsonObject()));
  }

  /** The revisions of an object as text, with viewports and fields: enough to ask for the same again. */
  public static String writeRequests(List<PromptRequest> requests) {
    JsonArray array = new JsonArray();
    requests.forEach(request -> array.add(PromptJson.of(request)));
    return array.toString();
  }

  /**
   * A text as revisions of an object.
   *
   * @throws io.wsisam.client.WsiSamException BAD_PROMPT_TEXT
   */
  public static List<PromptRequest> readRequests(String text) {
    return parsed(
        text,
        json -> {
          List<PromptRequest> requests = new ArrayList<>();
          for (JsonElement request : json.getAsJsonArray()) {
            requests.add(PromptJson.request(request.getAsJsonObject()));
          }
          return requests;
        });
  }

  private static <T> T parsed(String text, Function<JsonElement, T> read) {
    try {
      return read.apply(JsonParser.parseString(text));
    } catch (JsonParseException
        | IllegalStateException
        | IllegalArgumentException
        | UnsupportedOperationException
        | ClassCastException malformed) {
      throw WsiSamException.badPromptText(text, malformed);
    }
  }
}
