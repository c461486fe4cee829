package io.wsisam.extension.local;

import com.google.gson.JsonArray;
import com.google.gson.JsonElement;
import com.google.gson.JsonObject;
import com.google.gson.JsonParseException;
import com.google.gson.JsonParser;
import io.wsisam.script.PrivateFile;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Optional;

/**
 * What is written down of a server that was started here, so that another QuPath, or a later one, finds it.
 *
 * @param server its process
 * @param folders whose slides it opens
 * @param users the QuPaths that use it
 */
record LocalServerRecord(ProcessIdentity server, List<String> folders, List<ProcessIdentity> users) {
  LocalServerRecord {
    folders = List.copyOf(folders);
    users = List.copyOf(users);
  }

  /** The record in a file; empty where there is none, or none that can be read. */
  static Optional<LocalServerRecord> read(Path file) {
    try {
      JsonObject json = JsonParser.parseString(Files.readString(file)).getAsJsonObject();
      List<String> folders = new ArrayList<>();
      json.getAsJsonArray("folders").forEach(folder -> folders.add(folder.getAsString()));
      List<ProcessIdentity> users = new ArrayList<>();
      for (JsonElement user : json.getAsJsonArray("users")) {
        users.add(ProcessIdentity.of(user.getAsJsonObject()));
      }
      return Optional.of(new LocalServerRecord(ProcessIdentity.of(json.getAsJsonObject("server")), folders, users));
    } catch (IOException
        | JsonParseException
        | IllegalStateException
        | NullPointerException
        | ClassCastException
        | NumberFormatException
        | UnsupportedOperationException none) {
      return Optional.empty();
    }
  }

  void write(Path file) throws IOException {
    JsonObject json = new JsonObject();
    json.add("server", server.toJson());
    JsonArray named = new JsonArray();
    folders.forEach(named::add);
    json.add("folders", named);
    JsonArray using = new JsonArray();
    users.forEach(user -> using.add(user.toJson()));
    json.add("users", using);
    PrivateFile.write(file, json.toString());
  }

  /** Without the users that are gone, and with or without this one. */
  LocalServerRecord usedBy(ProcessIdentity one, boolean uses) {
    List<ProcessIdentity> now =
        new ArrayList<>(users.stream().filter(user -> !user.equals(one) && user.running().isPresent()).toList());
    if (uses) {
      now.add(one);
    }
    return new LocalServerRecord(server, folders, now);
  }
}
