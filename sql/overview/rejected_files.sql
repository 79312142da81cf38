-- The files with rejected records, by batch.
select
    batch_id,
    load,
    file,
    count(*) as count_records,
    min(line) as first_line
from load_errors
group by batch_id, load, file
order by batch_id desc, count_records desc, load, file;
