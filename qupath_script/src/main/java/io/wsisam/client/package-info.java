/**
 * A client of a wsisam server; {@link io.wsisam.client.WsiSamClient} is where to begin.
 *
 * <p>Imports go one way: this package uses {@code annotations} and {@code segmentation}, both use {@code slides}, and all use
 * {@code connection}. Each package translates its own values to messages of the contract.
 *
 * <p>Coordinates are level-0 pixels of the slide, pixel i covering [i, i + 1), as in QuPath. Nothing here blocks its
 * caller but {@link io.wsisam.client.WsiSamClient#await} and {@link io.wsisam.client.WsiSamClient#awaitClosed}.
 * Listeners are called, and futures completed, on one thread of the client, in order.
 */
package io.wsisam.client;
