import { defineErrors } from "@onsale/http";

export const errors = defineErrors("notifications", {
  CHANNEL_MISSING: { title: "This shop does not send messages in this way.", retryable: false },
  NO_ADDRESS: { title: "A channel was chosen without an address for it.", retryable: false },
  ADDRESS_ASKED_RECENTLY: { title: "This address was asked to confirm itself a short while ago.", retryable: true },
  PERSON_ERASED: { title: "This person's account was erased.", retryable: false },
  CODE_REFUSED: { title: "The code is wrong, too old, or was guessed too often.", retryable: false },
  UNSUBSCRIBE_LINK_REFUSED: { title: "The link is none of this shop's.", retryable: false },
  MESSAGE_NOT_FOUND: { title: "There is no such message.", retryable: false },
  MESSAGE_NOT_DEAD: { title: "Only a message that was given up can be sent again.", retryable: false },
  BULK_MESSAGE_NOT_FOUND: { title: "There is no such bulk message.", retryable: false },
  BULK_MESSAGE_ENDED: { title: "The bulk message was sent or cancelled already.", retryable: false },
});
