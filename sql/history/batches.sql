-- One row per batch and source: the new files of one run, added to history in one transaction.
create table if not exists batches (
    batch_id integer not null,     -- number of the batch; never used again
    source varchar(16) not null,   -- log_data or song_data
    status varchar(16) not null,   -- loaded or undone
    files integer not null,        -- files that were loaded
    records bigint not null,       -- records that were loaded
    rejected bigint not null,      -- records that COPY rejected, as far as it reported
    run varchar(256) not null,     -- name and id of the run that loaded it
    loaded_at timestamp not null,  -- when it was loaded, UTC
    last_event timestamp,          -- newest event with a plausible time, UTC; null: the source has no times
    replaced_since date,           -- first day that a reload replaced
    replaced_until date,           -- last day that a reload replaced
    primary key (batch_id, source)
)
diststyle all
sortkey (batch_id);
