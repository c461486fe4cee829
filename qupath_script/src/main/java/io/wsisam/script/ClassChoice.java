package io.wsisam.script;

import java.util.ArrayList;
import java.util.Collection;
import java.util.LinkedHashSet;
import java.util.List;
import java.util.Set;

/** The classes that an annotation can be given, and which one is chosen. "", the first, is no class. */
public final class ClassChoice {
  private List<String> names;
  private int at;

  private ClassChoice(List<String> names) {
    this.names = names;
  }

  /**
   * A choice among names.
   *
   * @param names of any type whose text is the name; null and blank ones and doubles fall out
   * @param current the chosen one; none when it is not among them
   */
  public static ClassChoice of(Collection<?> names, String current) {
    ClassChoice choice = new ClassChoice(distinct(names));
    choice.choose(current);
    return choice;
  }

  private static List<String> distinct(Collection<?> names) {
    Set<String> all = new LinkedHashSet<>();
    all.add("");
    for (Object name : names) {
      if (name != null && !name.toString().isBlank()) {
        all.add(name.toString());
      }
    }
    return List.copyOf(new ArrayList<>(all));
  }

  /** Takes other names; what was chosen stays, and is no class if it is not among them. */
  public synchronized void names(Collection<?> others) {
    String current = current();
    names = distinct(others);
    at = Math.max(0, names.indexOf(current));
  }

  /** Chooses by number, as on the keys: 0 is no class, 1 the first one; false when there are not as many. */
  public synchronized boolean number(int number) {
    boolean there = number >= 0 && number < names.size();
    if (there) {
      at = number;
    }
    return there;
  }

  /** All names, "" first. */
  public synchronized List<String> names() {
    return names;
  }

  /** The chosen name; "" for no class. */
  public synchronized String current() {
    return names.get(at);
  }

  /** Chooses the next name, after the last one the first; it is returned. */
  public synchronized String next() {
    at = (at + 1) % names.size();
    return current();
  }

  /** Chooses the name before, before the first one the last; it is returned. */
  public synchronized String previous() {
    at = (at + names.size() - 1) % names.size();
    return current();
  }

  /** Chooses a name; false when there is none like it, and nothing has changed. */
  public synchronized boolean choose(String name) {
    int found = names.indexOf(name);
    if (found >= 0) {
      at = found;
    }
    return found >= 0;
  }
}
