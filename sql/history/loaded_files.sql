-- One row per file and version that was loaded or set aside. It is loaded again when its etag or its size has changed.
create table if not exists loaded_files (
    source varchar(16) not null,  -- log_data or song_data
    url varchar(2048) not null,
    etag varchar(128) not null,   -- of a local file, its time of modification in nanoseconds
    size bigint not null,         -- bytes
    modified_at timestamp not null,
    batch_id integer not null,
    set_aside varchar(1024),      -- why it was not loaded; null: it was
    primary key (url, batch_id)
)
diststyle even
sortkey (batch_id);
