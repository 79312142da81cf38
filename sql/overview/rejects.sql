-- The reasons why records were rejected, by batch, code and column: counts, and the first record as an example.
with numbered as (
    select
        load_errors.*,
        row_number() over (partition by batch_id, load, code, "column", message order by file, line) as place,
        count(*) over (partition by batch_id, load, code, "column", message) as count_records
    from load_errors
)

select
    batch_id,
    load,
    code,
    message,
    "column",
    count_records,
    file as example_file,
    line as example_line,
    value as example_value,
    raw_record as example_record
from numbered
where place = 1
order by batch_id desc, count_records desc, load, code, message;
