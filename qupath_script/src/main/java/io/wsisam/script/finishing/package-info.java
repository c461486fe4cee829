/** What is done with an outline beside its neighbours before it is accepted: pure geometry. */
package io.wsisam.script.finishing;
