"""`python -m agent_actors` is `agent-actors`."""

from agent_actors.cli import main

if __name__ == "__main__":
    main()
