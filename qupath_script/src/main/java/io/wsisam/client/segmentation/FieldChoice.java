package io.wsisam.client.segmentation;

import java.util.Objects;
import java.util.Optional;
import java.util.OptionalDouble;

/** How much context the model sees, where the caller and not the server chooses. */
public final class FieldChoice {
  private final Double downsample;
  private final FieldWindow window;

  private FieldChoice(Double downsample, FieldWindow window) {
    this.downsample = downsample;
    this.window = window;
  }

  /** A scale: level-0 pixels per pixel of the model's input. */
  public static FieldChoice downsample(double downsample) {
    return new FieldChoice(downsample, null);
  }

  /** Exactly the window of an earlier outline. */
  public static FieldChoice window(FieldWindow window) {
    return new FieldChoice(null, Objects.requireNonNull(window));
  }

  /** The scale, where one was chosen. */
  public OptionalDouble downsample() {
    return downsample == null ? OptionalDouble.empty() : OptionalDouble.of(downsample);
  }

  /** The window, where one was chosen. */
  public Optional<FieldWindow> window() {
    return Optional.ofNullable(window);
  }

  @Override
  public boolean equals(Object other) {
    return other instanceof FieldChoice choice
        && Objects.equals(downsample, choice.downsample)
        && Objects.equals(window, choice.window);
  }

  @Override
  public int hashCode() {
    return Objects.hash(downsample, window);
  }

  @Override
  public String toString() {
    return "FieldChoice[" + (window == null ? "downsample " + downsample : window) + "]";
  }
}
