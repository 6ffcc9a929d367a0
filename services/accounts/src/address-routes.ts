import { type HttpServer, problem } from "@onsale/http";
import type { ServiceContext } from "@onsale/runtime";
import { type Static, Type } from "typebox";
import { maximumAddresses } from "./address.ts";
import { errors } from "./errors.ts";
import { Address, AddressWish, Id } from "./fields.ts";
import {
  type AddressKept,
  addAddress,
  changeAddress,
  type KeptAddress,
  removeAddress,
  type Wish,
} from "./keep-addresses.ts";
import type { AccountsPorts } from "./ports.ts";
import { refused } from "./refusals.ts";
import { listAddresses } from "./store/address.ts";

type Context = ServiceContext<AccountsPorts>;

const params = Type.Object({ addressId: Id });
const config = { access: "account" } as const;

/** Where a person's parcels go. */
export function addressRoutes(http: HttpServer, context: Context): void {
  listing(http, context);
  adding(http, context);
  changing(http, context);
  removing(http, context);
}

function listing(http: HttpServer, { database }: Context): void {
  http.get(
    "/v1/accounts/me/addresses",
    {
      config,
      schema: {
        summary: `One's addresses, at most ${maximumAddresses}.`,
        response: { 200: Type.Object({ addresses: Type.Array(Address) }) },
      },
    },
    async ({ person }) => ({ addresses: await listAddresses(database, person.id) }),
  );
}

function adding(http: HttpServer, { database, ports }: Context): void {
  http.post(
    "/v1/accounts/me/addresses",
    {
      config,
      schema: {
        summary: "Add an address. The first one is the default.",
        body: AddressWish,
        response: { 201: Address },
      },
    },
    async ({ person, body }, reply) => {
      const added = { accountId: person.id, addressId: ports.ids.uuid(), wish: wishOf(body) };
      const address = keptOrRefused(await database.transaction((tx) => addAddress(tx, added)));
      reply.code(201).header("location", `/v1/accounts/me/addresses/${address.addressId}`);
      return address;
    },
  );
}

function changing(http: HttpServer, { database }: Context): void {
  http.put(
    "/v1/accounts/me/addresses/:addressId",
    { config, schema: { summary: "Replace an address.", params, body: AddressWish, response: { 200: Address } } },
    async ({ person, params: { addressId }, body }) => {
      const changed = { accountId: person.id, addressId, wish: wishOf(body) };
      return keptOrRefused(await database.transaction((tx) => changeAddress(tx, changed)));
    },
  );
}

function removing(http: HttpServer, { database }: Context): void {
  http.delete(
    "/v1/accounts/me/addresses/:addressId",
    {
      config,
      schema: { summary: "Remove an address. If it was the default, the oldest of the others is it now.", params },
    },
    async ({ person, params: { addressId } }, reply) => {
      const removed = await database.transaction((tx) => removeAddress(tx, person.id, addressId));
      if (!removed) throw problem(404, errors.ADDRESS_NOT_FOUND);
      return reply.code(204).send();
    },
  );
}

const wishOf = ({ isDefault, line2, postalCode, region, phone, ...rest }: Static<typeof AddressWish>): Wish => ({
  makeDefault: isDefault === true,
  address: {
    ...rest,
    line2: line2 ?? null,
    postalCode: postalCode ?? null,
    region: region ?? null,
    phone: phone ?? null,
  },
});

function keptOrRefused(outcome: AddressKept): KeptAddress {
  switch (outcome.kind) {
    case "kept":
      return outcome.address;
    case "account-not-found":
      throw refused({ kind: "not-found" });
    case "address-not-found":
      throw problem(404, errors.ADDRESS_NOT_FOUND);
    case "too-many":
      throw problem(409, errors.TOO_MANY_ADDRESSES);
    default:
      return outcome satisfies never;
  }
}
