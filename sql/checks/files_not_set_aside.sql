-- No file is set aside. `--retry-set-aside` tries those that are again; `--dismiss-set-aside` takes them off the list.
with versions as (
    select
        loaded_files.source,
        loaded_files.url,
        loaded_files.batch_id,
        loaded_files.set_aside,
        row_number() over (
            partition by loaded_files.source, loaded_files.url
            order by loaded_files.batch_id desc
        ) as version
    from loaded_files
)

select
    source,
    url,
    batch_id,
    set_aside
from versions
where version = 1 and set_aside <> 'dismissed'
