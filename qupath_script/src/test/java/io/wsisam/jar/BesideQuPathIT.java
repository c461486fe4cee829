package io.wsisam.jar;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.wsisam.support.SharedServer;
import java.io.File;
import java.lang.reflect.InvocationTargetException;
import java.net.MalformedURLException;
import java.net.URL;
import java.net.URLClassLoader;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

/**
 * The built jar in class loaders as QuPath arranges them: libraries in a parent that is asked first, the extension in a
 * child, scripts run by the parent's Groovy. The call is real.
 */
@Timeout(300)
class BesideQuPathIT {
  private static final String SCRIPT =
      """
      import io.wsisam.client.WsiSamClient
      import io.wsisam.client.connection.*
      import io.wsisam.client.segmentation.*
      import io.wsisam.client.slides.*
      import java.util.concurrent.LinkedBlockingQueue

      def client = WsiSamClient.connect(address)
      try {
        def provider = { window -> throw new IOException('no pixels here') } as PixelProvider
        assert provider.display().isEmpty()
        def reference = SlideReference.of([slide], 900, 700, Double.NaN, provider)
        def open = WsiSamClient.await(client.openSlide(reference))
        def heard = new LinkedBlockingQueue()
        def listener = new SessionListener() {
          void onOutline(PromptResult result) { heard << result }
          void onFailed(Failure failure) { heard << failure }
        }
        def session = client.interact(open, SegmentOptions.defaults(), listener)
        session.prompt("disc", PromptRequest.of(Prompt.box(134, 134, 266, 266)))
        def outline = heard.take().outline()
        def error = null
        try {
          WsiSamClient.await(client.segment(open, PromptRequest.of(Prompt.click(-1, -1)), SegmentOptions.defaults()))
        } catch (WsiSamException expected) {
          error = expected.reason()
        }
        return [outline.parts().size(), outline.bounds()[0], error, client.class.classLoader.class.name].join(' ')
      } finally {
        client.close()
        client.awaitClosed(java.time.Duration.ofSeconds(10))
      }
      """;

  @ParameterizedTest
  @CsvSource({
    "0.5.1, ''", "0.6.0, ''", "0.7.0, ''", "0.5.1, old", "0.6.0, old", "0.7.0, old", "0.6.0, older-grpc", "0.7.0, older-grpc"
  })
  void aScriptSegmentsWhateverLiesBesideTheJar(String version, String intruder) throws Exception {
    List<URL> libraries = new ArrayList<>(jars(version));
    if (!intruder.isEmpty()) {
      libraries.addAll(jars(intruder));
    }
    URL jar = new File(System.getProperty("wsisam.jar")).toURI().toURL();
    ClassLoader platform = ClassLoader.getPlatformClassLoader();
    try (URLClassLoader parent = new URLClassLoader(libraries.toArray(new URL[0]), platform);
        URLClassLoader extension = new URLClassLoader(new URL[] {jar}, parent)) {
      String[] said = run(parent, extension).split(" ");
      assertEquals("1", said[0]);
      assertTrue(Math.abs(Double.parseDouble(said[1]) - 140) < 8, said[1]);
      assertEquals("PROMPT_OUTSIDE_SLIDE", said[2]);
      assertEquals(URLClassLoader.class.getName(), said[3]);
    }
  }

  private static String run(ClassLoader parent, ClassLoader extension) throws Exception {
    Thread thread = Thread.currentThread();
    ClassLoader before = thread.getContextClassLoader();
    thread.setContextClassLoader(extension);
    try {
      Class<?> binding = parent.loadClass("groovy.lang.Binding");
      Class<?> shell = parent.loadClass("groovy.lang.GroovyShell");
      Object variables = binding.getConstructor().newInstance();
      var set = binding.getMethod("setVariable", String.class, Object.class);
      set.invoke(variables, "address", SharedServer.get().address());
      set.invoke(variables, "slide", SharedServer.discs().toUri());
      Object groovy = shell.getConstructor(ClassLoader.class, binding).newInstance(extension, variables);
      return String.valueOf(shell.getMethod("evaluate", String.class).invoke(groovy, SCRIPT));
    } catch (InvocationTargetException failed) {
      throw new AssertionError(failed.getCause());
    } finally {
      thread.setContextClassLoader(before);
    }
  }

  private static List<URL> jars(String folder) throws MalformedURLException {
    File[] files = new File(System.getProperty("wsisam.qupath.libraries"), folder).listFiles();
    if (files == null || files.length == 0) {
      throw new IllegalStateException("there are no libraries in " + folder);
    }
    Arrays.sort(files);
    List<URL> urls = new ArrayList<>();
    for (File file : files) {
      urls.add(file.toURI().toURL());
    }
    return urls;
  }
}
