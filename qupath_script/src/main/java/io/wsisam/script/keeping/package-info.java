/** What is accepted in QuPath and kept in the lab's store: written to disk first, sent once. */
package io.wsisam.script.keeping;
