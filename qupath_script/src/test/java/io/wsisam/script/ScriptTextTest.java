package io.wsisam.script;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertSame;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import groovy.lang.GroovyShell;
import io.wsisam.client.WsiSamClient;
import io.wsisam.client.connection.ClientReason;
import io.wsisam.client.connection.WsiSamException;
import io.wsisam.client.segmentation.FieldChoice;
import io.wsisam.client.segmentation.FieldWindow;
import io.wsisam.client.segmentation.Level;
import io.wsisam.client.segmentation.Outline;
import io.wsisam.client.segmentation.PointPrompt;
import io.wsisam.client.segmentation.PolygonPart;
import io.wsisam.client.segmentation.Prompt;
import io.wsisam.client.segmentation.PromptRequest;
import io.wsisam.client.segmentation.PromptResult;
import io.wsisam.client.segmentation.Refinement;
import io.wsisam.client.segmentation.Timings;
import io.wsisam.client.segmentation.Viewport;
import java.io.ByteArrayInputStream;
import java.io.ByteArrayOutputStream;
import java.io.ObjectInputFilter;
import java.io.ObjectInputStream;
import java.io.ObjectOutputStream;
import java.time.Duration;
import java.util.Arrays;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

/** Texts that end up in projects: prompts, metadata, workflow steps. */
class ScriptTextTest {
  private static Object evaluate(String groovy) {
    return new GroovyShell().evaluate(groovy);
  }

  @Test
  void groovyReadsALiteralAsWhatWasMeant() {
    Map<String, Object> value = new LinkedHashMap<>();
    value.put("it's \"quoted\" $here ${1 + 1} \\ back", "line\nbreak\ttab\r é 漢 \u0000 \uD83D\uDD2C");
    value.put("numbers", Arrays.asList(1, -2L, 0.5, 1e-9, 1e300, new java.math.BigDecimal("12.50"), null, true));
    value.put("empty", List.of(Map.of(), List.of(), ""));
    assertEquals(value, evaluate(GroovyText.literal(value)));
  }

  @Test
  void aGStringBecomesAPlainString() {
    Object gstring = evaluate("def x = 3; \"value ${x}\"");
    assertTrue(gstring instanceof groovy.lang.GString);
    Map<Object, Object> parameters = new LinkedHashMap<>();
    parameters.put(gstring, gstring);
    parameters.put("null", null);
    parameters.put("list", List.of(gstring));
    WorkflowStep step = WorkflowStep.of((CharSequence) gstring, parameters, (CharSequence) gstring, "");
    assertSame(String.class, ((Object) step.name()).getClass());
    step.parameters()
        .forEach(
            (key, value) -> {
              assertSame(String.class, ((Object) key).getClass());
              assertSame(String.class, ((Object) value).getClass());
            });
    assertEquals("[value 3]", step.parameters().get("list"));
    assertEquals("value 3['value 3': 'value 3', 'null': null, 'list': ['value 3']]", step.script());
  }

  /** QuPath reads workflows back with a filter of that kind, and loses the image's objects when it refuses. */
  @Test
  void whatAProjectStoresIsReadBackByAStrictFilter() throws Exception {
    Object gstring = evaluate("def x = 3; \"value ${x}\"");
    Map<?, ?> parameters = WorkflowStep.of("step", Map.of("k", gstring), "", "").parameters();
    assertEquals(Map.of("k", "value 3"), through(parameters));
    assertThrows(java.io.InvalidClassException.class, () -> through(new LinkedHashMap<>(Map.of("k", gstring))));
  }

  @Test
  void aPromptIsReadAsItWasWrittenWithShapeAndCandidates() {
    PolygonPart rough =
        new PolygonPart(new double[] {0, 0, 9.5, 0, 9, 9}, List.of(new double[] {1, 1, 2, 1, 2, 2}));
    Prompt prompt = Prompt.shape(List.of(rough)).withPoint(new PointPrompt(1, 2, true, 3)).meaning(0);
    String text = PromptText.write(prompt);
    assertEquals(
        "{\"points\":[[1,2,1,3]],\"shape\":[[[0,0,9.5,0,9,9],[1,1,2,1,2,2]]],\"candidate\":0}", text);
    assertEquals(text, PromptText.write(PromptText.read(text)));
    assertEquals(List.of(new PointPrompt(1, 2, true, 3)), PromptText.read(text).points());
  }

  @Test
  void stepsCanBeJoinedToOneScript() {
    WorkflowStep step = WorkflowStep.of("step", Map.of("k", 3), "seen.add(", ")\n");
    assertEquals(List.of(Map.of("k", 3), Map.of("k", 3)), evaluate("def seen = []\n" + step.script() + step.script() + "seen"));
  }

  private static Object through(Object value) throws Exception {
    ByteArrayOutputStream bytes = new ByteArrayOutputStream();
    try (ObjectOutputStream out = new ObjectOutputStream(bytes)) {
      out.writeObject(value);
    }
    try (ObjectInputStream in = new ObjectInputStream(new ByteArrayInputStream(bytes.toByteArray()))) {
      in.setObjectInputFilter(ObjectInputFilter.Config.createFilter("java.lang.*;java.util.*;!*"));
      return in.readObject();
    }
  }

  @Test
  void promptsAreWrittenShortAndReadBack() {
    Prompt prompt = Prompt.box(10, 20.5, 1e6, 67108863).withPoint(1.23456, -0.0004, true).withPoint(5, 6, false);
    String text = PromptText.write(prompt);
    assertEquals("{\"box\":[10,20.5,1000000,67108863],\"points\":[[1.235,0,1],[5,6,0]]}", text);
    assertEquals(text, PromptText.write(PromptText.read(text)));
  }

  @Test
  void theTextIsTheSameInEveryLanguage() {
    Locale before = Locale.getDefault();
    try {
      Locale.setDefault(Locale.forLanguageTag("ar-EG-u-nu-arab"));
      assertEquals("{\"points\":[[1.5,2,1]]}", PromptText.write(Prompt.click(1.5, 2)));
      assertEquals("'\\u00e9'", GroovyText.literal("é"));
      assertEquals("0.970", AnnotationMetadata.of(answer(false), "").get(AnnotationMetadata.SCORE));
    } finally {
      Locale.setDefault(before);
    }
  }

  @Test
  void revisionsKeepViewportsAndFieldsExactly() {
    List<PromptRequest> requests =
        List.of(
            PromptRequest.of(Prompt.click(1, 2)).from(new Viewport(-5.123456789, 0, 100, 50, 0.7071067811865476)),
            PromptRequest.of(Prompt.box(0, 0, 9, 9)).in(FieldChoice.window(new FieldWindow(-12.0625, 3, 1.4142135623730951, 256))),
            PromptRequest.of(Prompt.click(3, 4)).in(FieldChoice.downsample(2.8284271247461903)),
            PromptRequest.of(Prompt.click(3, 4)).refined(Refinement.to(0.7071067811865476)),
            PromptRequest.of(Prompt.click(3, 4)).refined(new Refinement(null, 9)));
    assertEquals(requests, PromptText.readRequests(PromptText.writeRequests(requests)));
  }

  @ParameterizedTest
  @ValueSource(strings = {"", "nonsense{", "[]", "{\"box\":[1,2,3]}", "{\"points\":[[1,2]]}", "{\"box\":\"here\"}", "null", "{\"points\":7}"})
  void aTextWithoutPromptsIsAClearError(String text) {
    WsiSamException error = assertThrows(WsiSamException.class, () -> PromptText.read(text));
    assertEquals(ClientReason.BAD_PROMPT_TEXT, error.reason());
  }

  @Test
  void metadataSayWhereAnOutlineComesFrom() {
    PromptResult result = answer(true);
    List<PromptRequest> revisions = List.of(PromptRequest.of(Prompt.box(0, 0, 9, 9)), result.request());
    Map<String, String> metadata = AnnotationMetadata.of(result, revisions, "server-7");
    assertEquals("wsisam-lite", metadata.get("wsisam.model"));
    assertEquals("abc", metadata.get("wsisam.weights"));
    assertEquals("0.970", metadata.get("wsisam.score"));
    assertEquals("[8,16.5,2,256]", metadata.get("wsisam.window"));
    assertEquals("true", metadata.get("wsisam.cut_by_field"));
    assertEquals("[[2,1],[0.5,7]]", metadata.get("wsisam.levels"));
    assertEquals("server-7", metadata.get("wsisam.id"));
    assertEquals(WsiSamClient.version(), metadata.get("wsisam.client"));
    assertEquals(revisions, AnnotationMetadata.revisions(metadata).orElseThrow());
    assertTrue(AnnotationMetadata.revisions(Map.of("other", "thing")).isEmpty());
    Map<String, String> plain = AnnotationMetadata.of(answer(false), "");
    assertTrue(!plain.containsKey("wsisam.id") && !plain.containsKey("wsisam.levels") && !plain.containsKey("wsisam.cut_by_field"));
  }

  private static PromptResult answer(boolean cut) {
    Outline outline =
        new Outline(
            List.of(), 0.97, new FieldWindow(8, 16.5, 2, 256), cut, 0.5, true, 0, 0, "wsisam-lite", "abc",
            new Timings(0, 0, 0, 0, 0, 0), cut ? List.of(new Level(2, 1), new Level(0.5, 7)) : List.of(new Level(2, 1)), false,
            List.of(),
            List.of(),
            0);
    return new PromptResult("id", 2, PromptRequest.of(Prompt.box(0, 0, 9, 9).withPoint(4, 4, true)), outline, Duration.ZERO);
  }
}
