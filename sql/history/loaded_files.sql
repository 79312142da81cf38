-- One row per file and version that was loaded or set aside. It is loaded again when its etag or its size has changed.
create table if not exists loaded_files (
    source varchar(16) not null,     -- log_data or song_data
    url varchar(2048) not null,      -- where the file is
    etag varchar(128) not null,      -- as S3 tells it; of a local file, its time of modification in nanoseconds
    size bigint not null,            -- size of the file in bytes
    modified_at timestamp not null,  -- when the file was last changed, UTC
    batch_id integer not null,       -- batch that brought the file
    set_aside varchar(1024),         -- why the file was not loaded; null: it was
    primary key (url, batch_id)
)
diststyle even
sortkey (batch_id);
