package io.wsisam.script;

import java.util.LinkedHashMap;
import java.util.Map;

/**
 * A step of an image's workflow. QuPath stores the parameters by Java serialisation and refuses to read anything but
 * plain values back, which loses the image's objects: so whatever goes in, only java.lang.String comes out.
 *
 * @param name of the step
 * @param parameters shown beside it
 * @param script Groovy that does the step again
 */
public record WorkflowStep(String name, Map<String, String> parameters, String script) {
  /** Makes all plain. */
  public WorkflowStep {
    parameters = new LinkedHashMap<>(GroovyText.plain(parameters)); // not an immutable map: QuPath's filter knows no such
  }

  /**
   * A step whose script is a fixed text that works on given values.
   *
   * @param name of the step
   * @param parameters shown beside it, of any types
   * @param variable name of the variable that holds the values in the script
   * @param values what the script works on: strings, numbers, booleans, lists and maps of such
   * @param body Groovy that uses the variable
   */
  public static WorkflowStep of(
      CharSequence name, Map<?, ?> parameters, String variable, Map<?, ?> values, CharSequence body) {
    String script = "def " + variable + " = " + GroovyText.literal(values) + "\n" + body;
    return new WorkflowStep(name.toString(), GroovyText.plain(parameters), script);
  }
}
