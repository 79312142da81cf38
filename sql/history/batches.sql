-- One row per batch and source: the new files of one run, added to history in one transaction.
create table if not exists batches (
    batch_id integer not null,
    source varchar(16) not null,  -- log_data or song_data
    status varchar(16) not null,  -- loaded or undone
    files integer not null,
    records bigint not null,
    rejected bigint not null,
    run varchar(256) not null,
    loaded_at timestamp not null,
    last_event timestamp,         -- of plausible times; null: the source has no times
    replaced_since date,          -- the first day that a reload replaced
    replaced_until date,          -- the last one
    primary key (batch_id, source)
)
diststyle all
sortkey (batch_id);
