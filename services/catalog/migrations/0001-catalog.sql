create table catalog.product (
  -- Sorted by bytes: the order of a page must not depend on the machine's language.
  sku text collate "C" primary key,
  name text not null,
  price_minor bigint not null check (price_minor >= 0),
  currency text not null check (currency ~ '^[A-Z]{3}$'),
  -- Counts the product.published events; the latest is what the other services sell at.
  version integer not null,
  changed_at timestamptz not null default now()
);

-- What inventory told about a SKU, apart from the product: stock may arrive before the product is published, and a crowd
-- that empties a shelf must not wait for whoever changes a price.
create table catalog.shelf (
  sku text collate "C" primary key,
  in_stock boolean not null,
  -- Of inventory's event: an older one that comes later changes nothing.
  sequence bigint not null
);
