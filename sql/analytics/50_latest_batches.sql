-- title: What was loaded last
-- question: Which batches were loaded last, and what was rejected?
-- section: Data
-- chart: table
-- headline: Batch {first[batch_id]} is the latest, loaded on {first[loaded_at]}; the newest event is of {first[newest_event]}. Of all batches, {first[all_rejected]} of {first[all_records]:record} were rejected (the table load_errors says why), and {first[taken_back]} were taken back.
-- nothing: No batch was ever loaded.
select
    batch_id,
    source,
    status,
    loaded_at,
    files,
    records,
    rejected,
    run,
    max(last_event) over () as newest_event,
    sum(rejected) over () as all_rejected,
    sum(records + rejected) over () as all_records,
    sum(case when status = 'loaded' then 0 else 1 end) over () as taken_back
from batches
order by batch_id desc, source
limit 10
