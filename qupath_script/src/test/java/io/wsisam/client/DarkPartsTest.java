package io.wsisam.client;

import io.wsisam.client.segmentation.SegmentOptions;
import org.junit.jupiter.api.Timeout;

/** The model that stands in for the real one in the other tests. */
@Timeout(60)
class DarkPartsTest extends ModelContract {
  DarkPartsTest() {
    super(SegmentOptions.defaults());
  }
}
