"""Commands as their source declares them: options and help, without the imports of the work, which take seconds."""

import ast
from collections.abc import Callable
from functools import wraps
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from typing import Any


def declared(entrypoint: str) -> Callable[..., Any]:
    """Return a command of the project, `module:function`, that is imported when it is called.

    Its signature and docstring are read from the source, and only names in the signature are imported for them. So
    these should come from modules that import neither Prefect nor DuckDB.
    """
    module, _, name = entrypoint.partition(":")
    spec = find_spec(module)
    assert spec
    assert spec.origin, f"{module} is a folder"
    body = ast.parse(Path(spec.origin).read_text(encoding="utf-8")).body
    function = next(node for node in body if isinstance(node, ast.FunctionDef) and node.name == name)
    function.body, function.decorator_list, function.returns = function.body[:1], [], None
    names = {node.id for node in ast.walk(function) if isinstance(node, ast.Name)}
    imports = [node for node in body if isinstance(node, ast.ImportFrom)]
    for node in imports:
        node.names = [alias for alias in node.names if alias.name in names]
    found: dict[str, Any] = {"__name__": module}
    exec(compile(ast.Module([*(node for node in imports if node.names), function], []), spec.origin, "exec"), found)

    @wraps(found[name])
    def call(*arguments: Any, **options: Any) -> Any:
        command = getattr(import_module(module), name)
        if type(command).__name__ == "Flow":
            from flows.temporary_server import prepare_prefect  # slow to import

            prepare_prefect()
        return command(*arguments, **options)

    return call
