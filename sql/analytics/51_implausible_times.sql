-- title: Plays at implausible times
-- question: Which plays are left out everywhere else, because their time lies before 2000 or after tomorrow?
-- section: Data
-- chart: table
-- headline: Left out everywhere else, for times from the year {first[first_year]} to the year {last[last_year]}: {total[plays]:play}.
-- nothing: All plays have a time between 2000 and tomorrow.
with outside as (
    select
        user_id,
        case when start_time < timestamp '2000-01-01' then 'before 2000' else 'after tomorrow' end as period,
        extract(year from start_time)::integer as year
    from songplays
    where start_time not between timestamp '2000-01-01' and dateadd(day, 1, getdate())
)

select
    period,
    count(*) as plays,
    count(distinct user_id) as listeners,
    min(year)::varchar as first_year,
    max(year)::varchar as last_year
from outside
group by period
order by min(year)
