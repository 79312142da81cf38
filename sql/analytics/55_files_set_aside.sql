-- title: Files set aside
-- question: Which files are waiting for somebody to fix them?
-- section: Data
-- chart: table
-- headline: {first[files]:file} set aside, the newest in batch {first[batch_id]}: {first[url]}.
-- nothing: No file is set aside.
with versions as (
    select
        loaded_files.*,
        row_number() over (
            partition by loaded_files.source, loaded_files.url
            order by loaded_files.batch_id desc
        ) as version
    from loaded_files
)

select
    batch_id,
    source,
    url,
    set_aside as reason,
    count(*) over () as files
from versions
where version = 1 and set_aside <> 'dismissed'
order by batch_id desc, source, url
limit 50
