-- title: Batches over time
-- question: What did each of the latest 30 batches bring, what was rejected, and how long did its run take?
-- section: Data
-- chart: columns
-- x: batch_id (batch)
-- y: records (records loaded), rejected (records rejected), seconds (seconds from the run's start to its last check)
-- headline: Batch {last[batch_id]} brought {last[records]:record} in {last[seconds]:second}, and {last[rejected]} more were rejected.
-- nothing: No batch was ever loaded.
with finished as (
    select
        run,
        datediff(ms, min(began_at), max(checked_at)) / 1000.0 as seconds
    from check_results
    group by run
),

latest as (
    select
        batches.batch_id,
        max(batches.loaded_at) as loaded_at,
        sum(batches.files) as files,
        sum(batches.records) as records,
        sum(batches.rejected) as rejected,
        max(finished.seconds)::float as seconds
    from batches
    left join finished
        on finished.run = batches.run
    group by batches.batch_id
    order by batches.batch_id desc
    limit 30
)

select
    batch_id,
    loaded_at,
    files,
    records,
    rejected,
    seconds
from latest
order by batch_id
