-- One row per load of a table of the star schema, and per round of checks: up to which batch of history.
create table if not exists table_loads (
    table_name varchar(128) not null,  -- table that was loaded, or checks
    load integer not null,             -- number of the load among the table's
    batch_id integer not null,         -- newest batch that the load took in; 0 before the first
    definition varchar(32) not null,   -- md5 of columns and SELECT; empty: to be compared with all of history
    inserted bigint not null,          -- rows that the load inserted
    updated bigint not null,           -- rows that the load changed
    removed bigint not null,           -- rows that the load removed
    loaded_at timestamp not null,      -- when it was loaded, UTC
    primary key (table_name, load)
)
diststyle all
sortkey (table_name, load);
