import { Sku } from "@onsale/contracts/ids";
import { Currency, PriceMinor } from "@onsale/contracts/money";
import { answered, type HttpServer, idempotencyOf, idempotently, problem } from "@onsale/http";
import type { ServiceContext } from "@onsale/runtime";
import { Type } from "typebox";
import { errors } from "./errors.ts";
import { pageOf, skuOfCursor } from "./page.ts";
import { publishProduct } from "./publish-product.ts";
import { listProducts, readProduct } from "./store/product.ts";

const Product = Type.Object({
  sku: Sku,
  name: Type.String({ minLength: 1, maxLength: 200 }),
  priceMinor: PriceMinor,
  currency: Currency,
});

const ShownProduct = Type.Object({
  ...Product.properties,
  availability: Type.Union([Type.Literal("available"), Type.Literal("sold_out")], {
    description: "As inventory told it a moment ago; only an order that is accepted has the units for certain.",
  }),
});

const ProductPage = Type.Object({
  products: Type.Array(ShownProduct),
  next: Type.Union([Type.String(), Type.Null()], {
    description: "Give it as `after` for the next page; null at the end.",
  }),
});

// A screen of products; a page of the largest is 40 kB.
const usualPage = 50;
const maximumPage = 200;

export function routes(http: HttpServer, context: ServiceContext): void {
  publishing(http, context);
  listing(http, context);
  reading(http, context);
}

function publishing(http: HttpServer, { database }: ServiceContext): void {
  http.post(
    "/v1/admin/products",
    {
      config: { access: "operator", idempotent: true },
      schema: {
        summary: "Publish a product, or change its name or price.",
        body: Product,
        response: { 200: Product, 201: Product },
      },
    },
    async (request, reply) => {
      const { body, cause } = request;
      const answer = await idempotently(database, idempotencyOf(request), async (tx) => {
        const kind = await publishProduct(tx, body, cause);
        return { status: kind === "new" ? 201 : 200, body };
      });
      reply.header("location", `/v1/products/${encodeURIComponent(body.sku)}`);
      return answered(reply, answer);
    },
  );
}

function listing(http: HttpServer, { database }: ServiceContext): void {
  http.get(
    "/v1/products",
    {
      config: { access: "public" },
      schema: {
        summary: "Products in the order of their SKU.",
        querystring: Type.Object({
          limit: Type.Optional(Type.Integer({ minimum: 1, maximum: maximumPage, default: usualPage })),
          after: Type.Optional(Type.String({ maxLength: 400, description: "The `next` of the page before." })),
        }),
        response: { 200: ProductPage },
      },
    },
    async ({ query: { limit = usualPage, after } }) => {
      const begin = after === undefined ? null : skuOfCursor(after);
      if (begin === undefined) throw problem(400, errors.INVALID_CURSOR);
      const { page, next } = pageOf(await listProducts(database, { after: begin, limit: limit + 1 }), limit);
      return { products: page.map(toShown), next };
    },
  );
}

function reading(http: HttpServer, { database }: ServiceContext): void {
  http.get(
    "/v1/products/:sku",
    {
      config: { access: "public" },
      schema: { summary: "One product.", params: Type.Object({ sku: Sku }), response: { 200: ShownProduct } },
    },
    async ({ params: { sku } }) => {
      const product = await readProduct(database, sku);
      if (product === undefined) throw problem(404, errors.PRODUCT_NOT_FOUND);
      return toShown(product);
    },
  );
}

const toShown = <Row extends { readonly inStock: boolean }>({ inStock, ...product }: Row) => ({
  ...product,
  availability: inStock ? ("available" as const) : ("sold_out" as const),
});
