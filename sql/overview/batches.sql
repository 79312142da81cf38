-- Every batch of a source, the newest first, with the plays that it brought, and those of them that others brought too.
with plays as (
    select distinct
        batch_id,
        ts,
        coalesce(user_id, -1) as user_id,
        coalesce(session_id, -1) as session_id,
        coalesce(item_in_session, -1) as item_in_session
    from events
    where page = 'NextSong'
),

deliveries as (
    select
        batch_id,
        ts,
        count(*) over (partition by ts, user_id, session_id, item_in_session) as count_batches
    from plays
),

brought as (
    select
        batch_id,
        count(*) as plays,
        sum(case when count_batches > 1 then 1 else 0 end) as delivered_again,
        -- a time in another unit is no date that a person could read
        min(case when ts >= timestamp '2000-01-01' and ts < dateadd(day, 1, getdate()) then ts end) as first_play,
        max(case when ts >= timestamp '2000-01-01' and ts < dateadd(day, 1, getdate()) then ts end) as last_play
    from deliveries
    group by batch_id
)

select
    batches.batch_id,
    batches.source,
    batches.status,
    batches.loaded_at,
    batches.files,
    batches.records,
    batches.rejected,
    brought.plays,
    brought.delivered_again,
    brought.first_play,
    brought.last_play,
    batches.replaced_since,
    batches.replaced_until,
    batches.run
from batches
left join brought
    on brought.batch_id = batches.batch_id
    and batches.source = 'log_data'
order by batches.batch_id desc, batches.source;
