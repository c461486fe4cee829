package io.wsisam.qupath

import io.wsisam.client.Health
import io.wsisam.client.ModelInfo
import io.wsisam.client.ServerInfo
import io.wsisam.client.WsiSamClient
import io.wsisam.client.annotations.StoreInfo
import io.wsisam.client.connection.ClientReason
import io.wsisam.client.connection.WsiSamException
import io.wsisam.script.Settings
import javafx.animation.PauseTransition
import javafx.application.Platform
import javafx.util.Duration

import java.util.concurrent.CompletableFuture
import java.util.concurrent.TimeUnit

/** The connection to the server of the settings, and what that says of itself. On the JavaFX thread; nothing blocks. */
class ServerLink {
    private static final double RETRY_SECONDS = 3

    private final Settings settings
    private final Map<String, Closure> calls
    private final PauseTransition retry = new PauseTransition(Duration.seconds(RETRY_SECONDS))
    private boolean closed

    /** Null before the first connection, and where the settings lead to none. */
    WsiSamClient client
    List<ModelInfo> models = []
    /** Why the server cannot be used now; empty when it can. */
    String trouble = ''
    boolean reached
    /** The address where nobody listens; null where somebody does, or nobody was asked yet. */
    String unanswered
    /** The server's annotation store; null where it has none, and before it is known. */
    volatile StoreInfo store

    /**
     * @param calls what is done before a client is closed (`leave`, which answers futures of what is being freed), once the
     *        server is reached (`reached`), and when something to show has changed (`changed`)
     */
    ServerLink(Settings settings, Map<String, Closure> calls) {
        this.settings = settings
        this.calls = calls
        retry.setOnFinished { ask() }
    }

    /** Connects to the server of the settings. */
    void connect() {
        leave()
        client = null
        models = []
        reached = false
        store = null
        trouble = ''
        unanswered = null
        try {
            client = WsiSamClient.connect(settings.clientOptions())
        } catch (WsiSamException refused) {
            trouble = refused.text()
            Notifications.show(trouble)
            calls.changed()
            return
        }
        ask()
    }

    /** Tries again now what waits; where no server has answered yet, with the settings as they are by now. */
    void retryNow() {
        if (client == null || client.isClosed() || !reached) {
            connect()
            return
        }
        client.retryNow()
        ask()
    }

    /** Tries again after some seconds. */
    void retrySoon() {
        retry.playFromStart()
    }

    String address() {
        client?.address() ?: settings.server()
    }

    private void ask() {
        def asked = client
        if (closed || asked == null)
            return
        asked.info().whenComplete { ServerInfo info, Throwable failure ->
            Platform.runLater {
                if (asked.is(client) && !closed)
                    failure == null ? answered(info) : unreached(WsiSamException.of(failure))
            }
        }
    }

    private void answered(ServerInfo info) {
        trouble = ''
        unanswered = null
        models = info.models().findAll { it.isInstalled() }
        if (info.health() == Health.NOT_SERVING || models.isEmpty()) {
            trouble = 'The server is loading its model.'
            retrySoon()
        } else {
            if (!reached && info.isTooOld())
                Notifications.show("The server is of release ${info.version()}, this client of ${WsiSamClient.version()}: something may not work until the server is updated.")
            reached = true
            if (settings.model() && !models.any { it.name() == settings.model() })
                settings.model('')          // a model of another server
            askStore()
            calls.reached()
        }
        calls.changed()
    }

    /** A server without a store says so: nothing is kept there. */
    private void askStore() {
        def asked = client
        asked.annotations().store().whenComplete { StoreInfo found, Throwable none ->
            Platform.runLater {
                if (asked.is(client) && !closed) {
                    store = found
                    calls.changed()
                }
            }
        }
    }

    private void unreached(WsiSamException failure) {
        def why = failure.status() == 'UNAUTHENTICATED' ? "Choose your token's file under Access. ${failure.text()}".toString() : failure.text()
        if (trouble != why)
            Notifications.show(why)
        trouble = why
        unanswered = failure.reason() == ClientReason.UNREACHABLE ? address() : null
        calls.changed()
        if (failure.isConnection())
            retrySoon()
    }

    void close() {
        closed = true
        retry.stop()
        leave()
    }

    /** Closes the client once the server has freed the images, or does not answer. */
    private void leave() {
        def left = client
        List<CompletableFuture> freed = calls.leave()
        if (left != null)
            CompletableFuture.allOf(freed as CompletableFuture[]).orTimeout(1, TimeUnit.SECONDS).whenComplete { done, late -> left.close() }
    }
}
