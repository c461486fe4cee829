/** Images that are open on a server, and their pixels where only this computer can read them. */
package io.wsisam.client.slides;
