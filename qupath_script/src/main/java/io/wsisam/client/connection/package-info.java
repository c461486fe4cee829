/**
 * The connection to one server: its options, calls, threads and errors. Knows no slide and no prompt.
 *
 * <p>Users meet the options, the address and the exception. The rest is for the packages beside it.
 */
package io.wsisam.client.connection;
