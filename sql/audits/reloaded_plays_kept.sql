-- Every play that a reload replaces is in the files that it reads. To lose those that are not, add --yes.
select distinct
    replaced.ts,
    replaced.user_id,
    replaced.session_id,
    replaced.item_in_session
from replaced
left join staging_events
    on staging_events.ts = replaced.ts
    and staging_events.page = 'NextSong'
    and coalesce(staging_events.user_id, -1) = coalesce(replaced.user_id, -1)
    and coalesce(staging_events.session_id, -1) = coalesce(replaced.session_id, -1)
    and coalesce(staging_events.item_in_session, -1) = coalesce(replaced.item_in_session, -1)
where replaced.page = 'NextSong' and staging_events.ts is null
