-- Every version of a file that was loaded or set aside, the newest batch first.
select
    loaded_files.batch_id,
    loaded_files.source,
    loaded_files.url,
    loaded_files.size,
    loaded_files.modified_at,
    batches.loaded_at,
    batches.status,
    loaded_files.set_aside
from loaded_files
inner join batches
    on batches.batch_id = loaded_files.batch_id
    and batches.source = loaded_files.source
order by loaded_files.batch_id desc, loaded_files.url;
