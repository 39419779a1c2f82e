"""The model that `tickweave new` writes, in Mesa, with what docs/quarter-hour.sh does and Mesa can do."""

import matplotlib.pyplot as plt
import mesa
import pandas as pd


class Person(mesa.Agent):
    def __init__(self, model):
        super().__init__(model)
        self.coins = 1

    def give(self):
        if self.coins > 0:
            other = self.random.choice(self.model.agents)
            other.coins += 1
            self.coins -= 1


class Wealth(mesa.Model):
    def __init__(self, agents=100, seed=None):
        super().__init__(seed=seed)
        Person.create_agents(self, agents)
        self.datacollector = mesa.DataCollector(
            model_reporters={
                "poorest": lambda model: min(agent.coins for agent in model.agents),
                "richest": lambda model: max(agent.coins for agent in model.agents),
                "without": lambda model: sum(agent.coins == 0 for agent in model.agents),
            },
            agent_reporters={"coins": "coins"},
        )

    def step(self):
        self.agents.shuffle_do("give")
        self.datacollector.collect(self)


if __name__ == "__main__":
    model = Wealth(seed=1)
    for _ in range(200):
        model.step()
    model.datacollector.get_agent_vars_dataframe().to_csv("agents.csv")
    metrics = model.datacollector.get_model_vars_dataframe()
    metrics.to_csv("metrics.csv")
    metrics.plot(subplots=True)
    plt.savefig("wealth.png")
    runs = mesa.batch_run(
        Wealth, {"agents": [50, 100], "seed": range(20)}, iterations=1, max_steps=200, data_collection_period=-1
    )
    table = pd.DataFrame(runs)
    table.to_csv("sweep.csv")
    table.groupby("agents")[["poorest", "richest", "without"]].mean().plot(subplots=True)
    plt.savefig("sweep.png")
