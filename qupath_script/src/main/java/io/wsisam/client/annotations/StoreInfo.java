package io.wsisam.client.annotations;

/**
 * Which store a server has.
 *
 * @param id the store's own id; a revision means something in this store only
 * @param revision the newest one, also where the caller may not see it; 0 when there is none
 * @param schemaVersion the version of its form in the database
 */
public record StoreInfo(String id, long revision, String schemaVersion) {}
