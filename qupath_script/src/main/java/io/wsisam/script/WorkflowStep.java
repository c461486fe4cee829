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
   * A step whose script calls something with given values. It declares no variable: QuPath joins the steps of a workflow to
   * one script, in which a second one of the same name would be an error.
   *
   * @param name of the step
   * @param values shown beside it, and what the script works on: strings, numbers, booleans, lists and maps of such
   * @param before Groovy up to the values
   * @param after Groovy from them on
   */
  public static WorkflowStep of(CharSequence name, Map<?, ?> values, CharSequence before, CharSequence after) {
    return new WorkflowStep(name.toString(), GroovyText.plain(values), before + GroovyText.literal(values) + after);
  }
}
