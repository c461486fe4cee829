/** Annotations that a server keeps: reading, changing, watching them; sync of whole images. */
package io.wsisam.client.annotations;
