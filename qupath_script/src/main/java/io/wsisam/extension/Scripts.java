package io.wsisam.extension;

import java.io.IOException;
import java.lang.reflect.InvocationTargetException;
import java.nio.file.Path;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.CompletionException;
import java.util.function.Function;
import java.util.function.Supplier;
import java.util.stream.Collectors;

/** The scripts, ready to run. Safe to use from any thread. */
final class Scripts {
  /** Run by the menu itself; see the Groovy sources of this name. */
  private static final String RUNNER = "io.wsisam.qupath.MenuRunner";

  private final Supplier<Path> userDirectory;
  private final String qupathVersion;
  private final ClassLoader jar;
  private final ScriptSources sources;
  private CompletableFuture<ClassLoader> compiled;

  Scripts(Supplier<Path> userDirectory, String qupathVersion, ClassLoader jar) {
    this.userDirectory = userDirectory;
    this.qupathVersion = qupathVersion;
    this.jar = jar;
    sources = new ScriptSources(userDirectory, jar);
  }

  /** Names of the scripts that there are. */
  List<String> names() {
    return sources.names();
  }

  /** The user's own copy of a script, where there is one that differs. */
  Optional<Path> own(String name) {
    return sources.own(name);
  }

  /** Begins to compile, where that was not done yet; returns at once. */
  synchronized CompletableFuture<ClassLoader> prepare() {
    if (compiled == null || compiled.isCompletedExceptionally()) {
      CompletableFuture<ClassLoader> result = new CompletableFuture<>();
      Thread thread = new Thread(() -> compile(result), "wsisam-compiler");
      thread.setDaemon(true);
      thread.setPriority(Thread.MIN_PRIORITY); // QuPath may just be starting
      thread.start();
      compiled = result;
    }
    return compiled;
  }

  private void compile(CompletableFuture<ClassLoader> result) {
    try {
      Map<String, String> texts = names().stream().collect(Collectors.toMap(Function.identity(), sources::carried));
      result.complete(CompiledScripts.load(texts, List.of(RUNNER), userDirectory.get(), qupathVersion, jar));
    } catch (IOException | RuntimeException | LinkageError problem) {
      result.completeExceptionally(problem);
    }
  }

  /**
   * Runs a script of the jar until it is done; not on the JavaFX thread.
   *
   * @param arguments each name=value, as on a command line
   * @throws Exception what the script ended with
   */
  void run(String name, String... arguments) throws Exception {
    call("run", new Class<?>[] {Class.class, String[].class}, loader().loadClass(name), (Object) arguments);
  }

  /**
   * Calls a method of the menu's own Groovy, by name.
   *
   * @throws Exception what it ended with
   */
  Object call(String method, Class<?>[] types, Object... values) throws Exception {
    try {
      return loader().loadClass(RUNNER).getMethod(method, types).invoke(null, values);
    } catch (InvocationTargetException wrapped) {
      throw wrapped.getCause() instanceof Exception problem ? problem : wrapped;
    }
  }

  private ClassLoader loader() throws Exception {
    try {
      return prepare().join();
    } catch (CompletionException problem) {
      throw problem.getCause() instanceof Exception cause ? cause : problem;
    }
  }
}
