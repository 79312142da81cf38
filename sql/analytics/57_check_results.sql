-- title: Checks by run
-- question: Which checks held in the latest runs that loaded tables, and which did not?
-- section: Data
-- chart: signs
-- x: checked_at (checked, UTC)
-- y: check_name (check)
-- value: offending_rows (rows that break it)
-- series: result
-- headline: Of the latest {first[runs]:run}, {first[runs_held]} kept every rule, {first[runs_warned]} had warnings only, and {first[runs_broken]} broke one.
-- nothing: No run has recorded its checks yet.
with runs as (
    select
        run,
        max(batch_id) as batch_id,
        max(checked_at) as checked_at,
        max(case when offending_rows > 0 then 1 else 0 end) as is_marked,
        max(case when offending_rows > 0 and severity = 'error' then 1 else 0 end) as is_broken
    from check_results
    group by run
    order by max(checked_at) desc, run
    limit 24
),

totals as (
    select
        count(*) as runs,
        sum(1 - is_marked) as runs_held,
        sum(is_marked - is_broken) as runs_warned,
        sum(is_broken) as runs_broken
    from runs
)

select
    check_results.check_name,
    check_results.severity,
    runs.checked_at,
    runs.batch_id,
    case
        when check_results.offending_rows = 0 then 'holds'
        when check_results.severity = 'warn' then 'warns'
        else 'breaks'
    end as result,
    check_results.offending_rows,
    totals.runs,
    totals.runs_held,
    totals.runs_warned,
    totals.runs_broken
from check_results
inner join runs
    on runs.run = check_results.run
cross join totals
order by check_results.severity, check_results.check_name, runs.checked_at
