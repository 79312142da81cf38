-- Every level is free or paid.
select
    'songplays' as table_name,
    songplay_id as key,
    level
from songplays
where level is null or level not in ('free', 'paid')

union all

select
    'users' as table_name,
    user_id::varchar as key,
    level
from users
where level is null or level not in ('free', 'paid')
