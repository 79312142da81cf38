-- One row per load of a table of the star schema, and per round of checks: up to which batch of history.
create table if not exists table_loads (
    table_name varchar(128) not null,
    load integer not null,             -- counts a table's loads
    batch_id integer not null,         -- the newest batch that it took in; 0 before the first
    definition varchar(32) not null,   -- md5 of columns and SELECT; empty: to be compared with all of history
    inserted bigint not null,
    updated bigint not null,
    removed bigint not null,
    loaded_at timestamp not null,
    primary key (table_name, load)
)
diststyle all
sortkey (table_name, load);
